#include "feed_forward.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <torch/csrc/autograd/custom_function.h>

#include "../instrument/memory_role.h"
#include "../plan/planned_device.h"
#include "../tensor/vectorise.h"
#include "each_row.h"
#include "gelu_new.h"
#include "linear.h"

namespace seprog {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

SEPROG_VECTORISED void forwardRow(const float* a, const float* b, float* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = a[i] * gelu_new::gate(a[i]) * b[i];
}

SEPROG_VECTORISED void backwardRow(const float* g, const float* a, const float* b, float* da, float* db,
                                   int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const float s = gelu_new::gate(a[i]);
    da[i] = g[i] * b[i] * gelu_new::slope(a[i], s);
    db[i] = g[i] * a[i] * s;
  }
}

bool fusable(const at::Tensor& a_NF, const at::Tensor& b_NF) {
  return takesCpuKernels(a_NF.device()) && a_NF.scalar_type() == at::kFloat &&
         b_NF.scalar_type() == at::kFloat;
}

at::Tensor gate(const at::Tensor& a_NF) {
  return at::sigmoid((a_NF + gelu_new::kCubic * a_NF * a_NF * a_NF) * gelu_new::kTwoRoot);
}

at::Tensor gatedForward(const at::Tensor& a_NF, const at::Tensor& b_NF) {
  if (!fusable(a_NF, b_NF)) return a_NF * gate(a_NF) * b_NF;
  const at::Tensor y_NF = at::empty_like(a_NF);
  if (!holdsData(a_NF)) return y_NF;
  const float* a = a_NF.const_data_ptr<float>();
  const float* b = b_NF.const_data_ptr<float>();
  float* y = y_NF.mutable_data_ptr<float>();
  eachRow(a_NF, [&](int64_t at, int64_t count) { forwardRow(a + at, b + at, y + at, count); });
  return y_NF;
}

class GatedGelu : public torch::autograd::Function<GatedGelu> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& a_NF, const at::Tensor& b_NF) {
    context->save_for_backward({a_NF, b_NF});
    return gatedForward(a_NF, b_NF);
  }
  static variable_list backward(AutogradContext* context, variable_list above) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& a_NF = saved[0];
    const at::Tensor& b_NF = saved[1];
    if (at::GradMode::is_enabled() || !fusable(a_NF, b_NF)) {
      // Plain operations: whoever asked for a graph of the gradient can differentiate them again.
      const at::Tensor s_NF = gate(a_NF);
      const at::Tensor slope_NF =
          s_NF + a_NF * s_NF * (1 - s_NF) * (a_NF * a_NF * (3 * gelu_new::kCubic) + 1) * gelu_new::kTwoRoot;
      return {above[0] * b_NF * slope_NF, above[0] * a_NF * s_NF};
    }
    const at::Tensor g_NF = above[0].contiguous();
    const at::Tensor da_NF = at::empty_like(a_NF);
    const at::Tensor db_NF = at::empty_like(b_NF);
    if (!holdsData(a_NF)) return {da_NF, db_NF};
    const float* g = g_NF.const_data_ptr<float>();
    const float* a = a_NF.const_data_ptr<float>();
    const float* b = b_NF.const_data_ptr<float>();
    float* da = da_NF.mutable_data_ptr<float>();
    float* db = db_NF.mutable_data_ptr<float>();
    eachRow(a_NF,
            [&](int64_t at, int64_t count) { backwardRow(g + at, a + at, b + at, da + at, db + at, count); });
    return {da_NF, db_NF};
  }
};

at::Tensor gatedGelu(const at::Tensor& a_NF, const at::Tensor& b_NF) {
  const bool recorded = at::GradMode::is_enabled() && (a_NF.requires_grad() || b_NF.requires_grad());
  const RoleScope kept(currentMemoryRole());  // inside a function nothing is recorded
  return recorded ? GatedGelu::apply(a_NF.contiguous(), b_NF.contiguous())
                  : gatedForward(a_NF.contiguous(), b_NF.contiguous());
}

/// In place, keeping one byte per element instead of the activation: enough where the next weight needs no
/// gradient.
class ReluInPlace : public torch::autograd::Function<ReluInPlace> {
 public:
  static at::Tensor forward(AutogradContext* context, at::Tensor x_NF) {
    context->mark_dirty({x_NF});
    x_NF.relu_();
    context->save_for_backward({x_NF.gt(0)});
    return x_NF;
  }
  static variable_list backward(AutogradContext* context, variable_list above) {
    return {above[0] * context->get_saved_variables()[0]};
  }
};

at::Tensor reluOf(const Scope& scope, at::Tensor x_NF) {
  if (scope.taps() != nullptr) return at::relu(x_NF);  // a tap holds x
  const bool recorded = at::GradMode::is_enabled() && x_NF.requires_grad();
  const RoleScope kept(currentMemoryRole());  // inside a function nothing is recorded
  if (recorded && !scope["wo.weight"].requires_grad()) return ReluInPlace::apply(x_NF);
  return x_NF.relu_();
}

}  // namespace

at::Tensor feedForward(const Scope& scope, FeedForwardKind kind, const at::Tensor& x_ND) {
  if (kind == FeedForwardKind::Relu) {
    return linear(scope, "wo.weight", reluOf(scope, linear(scope, "wi.weight", x_ND)));
  }
  return linear(scope, "wo.weight",
                gatedGelu(linear(scope, "wi_0.weight", x_ND), linear(scope, "wi_1.weight", x_ND)));
}

}  // namespace seprog
