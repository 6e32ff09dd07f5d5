#include "multi_head.h"

#include <cmath>

#include "linear.h"

namespace seprog {

PackedKeysValues MultiHead::packedKeysValues(const Scope& scope, const at::Tensor& x_ND) const {
  return {biasedLinear(scope, names_.key, x_ND), biasedLinear(scope, names_.value, x_ND)};
}

at::Tensor MultiHead::queries(const Scope& scope, const at::Tensor& x_ND) const {
  return biasedLinear(scope, names_.query, x_ND);
}

at::Tensor MultiHead::output(const Scope& scope, const at::Tensor& read_ND) const {
  return biasedLinear(scope, names_.output, read_ND);
}

double MultiHead::scaleOf(const at::Tensor& q_ND) const {
  return 1 / std::sqrt(static_cast<double>(q_ND.size(1) / heads_));
}

}  // namespace seprog
