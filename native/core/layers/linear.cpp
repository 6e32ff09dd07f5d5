#include "linear.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/add.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <optional>

#include "../instrument/memory_role.h"
#include "../tensor/narrow.h"
#include "../tensor/onednn_order.h"
#include "narrow_linear.h"
#include "packed_weight.h"

namespace seprog {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// A product with a frozen weight whose way back is packed.
class FrozenLinear : public torch::autograd::Function<FrozenLinear> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_NI, const at::Tensor& weight_OI,
                            const at::Tensor& packedBack, const std::optional<at::Tensor>& bias_O) {
    context->save_for_backward({weight_OI});
    context->saved_data["packedBack"] = packedBack;
    return at::linear(x_NI, weight_OI, bias_O);
  }
  static variable_list backward(AutogradContext* context, variable_list above) {
    const at::Tensor& g_NO = above[0];
    // A graph of the gradient was asked for: an operation that can be differentiated again.
    const at::Tensor dx_NI = at::GradMode::is_enabled()
                                 ? at::mm(g_NO, context->get_saved_variables()[0])
                                 : oneDnnLinear(g_NO, context->saved_data["packedBack"].toTensor(), {});
    return {dx_NI, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

/// `stored` is [O, I], or with `transposed` [I, O].
at::Tensor project(const at::Tensor& x_NI, const at::Tensor& stored, bool transposed,
                   const at::Tensor& bias_O) {
  // 8-bit weights know where their outputs are.
  if (stored.is_quantized()) return narrowLinear(x_NI, stored, bias_O);
  const at::Tensor weight_OI = transposed ? stored.t() : stored;
  if (isNarrow(weight_OI)) return narrowLinear(x_NI, weight_OI, bias_O);
  const int64_t rows = x_NI.size(0);
  const bool recorded = at::GradMode::is_enabled() && (x_NI.requires_grad() || weight_OI.requires_grad() ||
                                                       (bias_O.defined() && bias_O.requires_grad()));
  const int64_t enough = std::max(rows, kSmallProduct / std::max<int64_t>(1, weight_OI.numel()) + 1);
  const int64_t filled = (enough + kRowGranule - 1) / kRowGranule * kRowGranule;
  const std::optional<at::Tensor> bias = bias_O.defined() ? std::optional<at::Tensor>(bias_O) : std::nullopt;
  if (recorded) {
    const bool isFrozen = !weight_OI.requires_grad() && !(bias_O.defined() && bias_O.requires_grad());
    const at::Tensor packedBack = isFrozen ? packedBackOf(stored, transposed) : at::Tensor();
    if (!packedBack.defined()) return at::linear(x_NI, weight_OI, bias);
    const RoleScope kept(currentMemoryRole());  // inside a function nothing is recorded
    return FrozenLinear::apply(x_NI, weight_OI, packedBack, bias);
  }
  const at::Tensor packed = packedOf(stored, transposed);
  const auto product = [&](const at::Tensor& x) {
    return packed.defined() ? oneDnnLinear(x, packed, bias_O) : at::linear(x, weight_OI, bias);
  };
  if (rows == filled) return product(x_NI);
  at::Tensor x_FI = at::zeros({filled, x_NI.size(1)}, x_NI.options());
  x_FI.narrow(0, 0, rows).copy_(x_NI);
  return product(x_FI).narrow(0, 0, rows);
}

at::Tensor tapped(const Scope& scope, std::string_view name, const at::Tensor& x_NI, at::Tensor z_NO) {
  if (scope.taps() != nullptr) {
    const auto wanted = scope.taps()->wanted.find(scope.path(name));
    if (wanted != scope.taps()->wanted.end()) wanted->second = Taps::Record{x_NI, z_NO};
  }
  return z_NO;
}

}  // namespace

at::Tensor projectRows(const at::Tensor& x_NI, const at::Tensor& weight_OI, const at::Tensor& bias_O) {
  return project(x_NI, weight_OI, false, bias_O);
}

at::Tensor linear(const Scope& scope, std::string_view name, const at::Tensor& x_NI) {
  return tapped(scope, name, x_NI, projectRows(x_NI, scope[name]));
}

at::Tensor biasedLinear(const Scope& scope, const std::string& layer, const at::Tensor& x_NI) {
  const std::string name = layer + ".weight";
  return tapped(scope, name, x_NI, projectRows(x_NI, scope[name], scope[layer + ".bias"]));
}

at::Tensor transposedLinear(const Scope& scope, const std::string& layer, const at::Tensor& x_NI) {
  const std::string name = layer + ".weight";
  return tapped(scope, name, x_NI, project(x_NI, scope[name], true, scope[layer + ".bias"]));
}

at::Tensor applyHead(const Head& head, const at::Tensor& h_ND) {
  const at::Tensor logits_NV = projectRows(head.scale == 1 ? h_ND : h_ND * head.scale, head.weight_VD);
  return head.bias_V.defined() ? logits_NV + head.bias_V : logits_NV;
}

}  // namespace seprog
