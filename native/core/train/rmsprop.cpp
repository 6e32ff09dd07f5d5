#include "rmsprop.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include "../instrument/memory_role.h"

namespace seprog {

void RmsProp::step(const TensorTable& parameters, const Gradients& gradients, double learningRate,
                   double gradientScale) {
  at::NoGradGuard noGrad;
  for (const auto& [name, gradient] : gradients) {
    const at::Tensor g = gradient * gradientScale;
    at::Tensor& v = v_[name];
    if (!v.defined()) {
      const RoleScope role(MemoryRole::Optimizer);
      v = at::zeros_like(g);
    }
    v.mul_(smoothing_).addcmul_(g, g, 1.0 - smoothing_);
    at::Tensor p = parameters.find(name)->second;
    p.addcdiv_(g, v.sqrt().add_(epsilon_), -learningRate);
  }
}

}  // namespace seprog
