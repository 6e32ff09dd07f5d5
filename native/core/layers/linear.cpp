#include "linear.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/add.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

namespace seprog {

at::Tensor projectRows(const at::Tensor& x_NI, const at::Tensor& weight_OI) {
  const int64_t rows = x_NI.size(0);
  const bool recorded = at::GradMode::is_enabled() && (x_NI.requires_grad() || weight_OI.requires_grad());
  const int64_t enough = std::max(rows, kSmallProduct / std::max<int64_t>(1, weight_OI.numel()) + 1);
  const int64_t filled = (enough + kRowGranule - 1) / kRowGranule * kRowGranule;
  if (recorded || rows == filled) return at::linear(x_NI, weight_OI);
  at::Tensor x_FI = at::zeros({filled, x_NI.size(1)}, x_NI.options());
  x_FI.narrow(0, 0, rows).copy_(x_NI);
  return at::linear(x_FI, weight_OI).narrow(0, 0, rows);
}

at::Tensor linear(const Scope& scope, std::string_view name, const at::Tensor& x_NI) {
  at::Tensor z_NO = projectRows(x_NI, scope[name]);
  if (scope.taps() != nullptr) {
    const auto wanted = scope.taps()->wanted.find(scope.path(name));
    if (wanted != scope.taps()->wanted.end()) wanted->second = Taps::Record{x_NI, z_NO};
  }
  return z_NO;
}

at::Tensor applyHead(const Head& head, const at::Tensor& h_ND) {
  const at::Tensor logits_NV = projectRows(head.scale == 1 ? h_ND : h_ND * head.scale, head.weight_VD);
  return head.bias_V.defined() ? logits_NV + head.bias_V : logits_NV;
}

}  // namespace seprog
