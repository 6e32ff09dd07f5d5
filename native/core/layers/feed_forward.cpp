#include "feed_forward.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/relu.h>

#include "linear.h"

namespace seprog {

at::Tensor feedForward(const Scope& scope, FeedForwardKind kind, const at::Tensor& x_ND) {
  if (kind == FeedForwardKind::Relu) return linear(scope, "wo.weight", at::relu(linear(scope, "wi.weight", x_ND)));
  const at::Tensor gate_NF = at::gelu(linear(scope, "wi_0.weight", x_ND), "tanh");
  return linear(scope, "wo.weight", gate_NF * linear(scope, "wi_1.weight", x_ND));
}

}  // namespace seprog
