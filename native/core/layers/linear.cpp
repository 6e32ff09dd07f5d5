#include "linear.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/add.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <optional>

namespace seprog {

at::Tensor projectRows(const at::Tensor& x_NI, const at::Tensor& weight_OI, const at::Tensor& bias_O) {
  const int64_t rows = x_NI.size(0);
  const bool recorded = at::GradMode::is_enabled() && (x_NI.requires_grad() || weight_OI.requires_grad() ||
                                                       (bias_O.defined() && bias_O.requires_grad()));
  const int64_t enough = std::max(rows, kSmallProduct / std::max<int64_t>(1, weight_OI.numel()) + 1);
  const int64_t filled = (enough + kRowGranule - 1) / kRowGranule * kRowGranule;
  const std::optional<at::Tensor> bias = bias_O.defined() ? std::optional<at::Tensor>(bias_O) : std::nullopt;
  if (recorded || rows == filled) return at::linear(x_NI, weight_OI, bias);
  at::Tensor x_FI = at::zeros({filled, x_NI.size(1)}, x_NI.options());
  x_FI.narrow(0, 0, rows).copy_(x_NI);
  return at::linear(x_FI, weight_OI, bias).narrow(0, 0, rows);
}

namespace {

at::Tensor tapped(const Scope& scope, std::string_view name, const at::Tensor& x_NI, at::Tensor z_NO) {
  if (scope.taps() != nullptr) {
    const auto wanted = scope.taps()->wanted.find(scope.path(name));
    if (wanted != scope.taps()->wanted.end()) wanted->second = Taps::Record{x_NI, z_NO};
  }
  return z_NO;
}

}  // namespace

at::Tensor linear(const Scope& scope, std::string_view name, const at::Tensor& x_NI) {
  return tapped(scope, name, x_NI, projectRows(x_NI, scope[name]));
}

at::Tensor biasedLinear(const Scope& scope, const std::string& layer, const at::Tensor& x_NI) {
  const std::string name = layer + ".weight";
  return tapped(scope, name, x_NI, projectRows(x_NI, scope[name], scope[layer + ".bias"]));
}

at::Tensor transposedLinear(const Scope& scope, const std::string& layer, const at::Tensor& x_NI) {
  const std::string name = layer + ".weight";
  return tapped(scope, name, x_NI, projectRows(x_NI, scope[name].t(), scope[layer + ".bias"]));
}

at::Tensor applyHead(const Head& head, const at::Tensor& h_ND) {
  const at::Tensor logits_NV = projectRows(head.scale == 1 ? h_ND : h_ND * head.scale, head.weight_VD);
  return head.bias_V.defined() ? logits_NV + head.bias_V : logits_NV;
}

}  // namespace seprog
