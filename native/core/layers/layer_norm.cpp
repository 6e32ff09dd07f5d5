#include "layer_norm.h"

#include <ATen/ops/layer_norm.h>

namespace seprog {

at::Tensor layerNorm(const Scope& scope, const std::string& layer, const at::Tensor& x_ND, double epsilon) {
  return at::layer_norm(x_ND, {x_ND.size(-1)}, scope[layer + ".weight"], scope[layer + ".bias"], epsilon);
}

}  // namespace seprog
