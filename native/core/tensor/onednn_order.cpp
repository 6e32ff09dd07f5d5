#include "onednn_order.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>
#include <string>
#include <vector>

namespace seprog {
namespace {

// Rows of a product the order is made for; others take it as it is.
constexpr int64_t kTypicalRows = 64;

at::Tensor call(const c10::OperatorHandle& operation, std::vector<c10::IValue> stack) {
  operation.callBoxed(&stack);
  return stack.at(0).toTensor();
}

}  // namespace

at::Tensor oneDnnOrder(const at::Tensor& weight_OI) {
  static const c10::OperatorHandle reorder =
      c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_reorder_linear_weight", "");
  return call(reorder, {weight_OI.contiguous(), kTypicalRows});
}

at::Tensor oneDnnLinear(const at::Tensor& x_NI, const at::Tensor& ordered_OI, const at::Tensor& bias_O) {
  static const c10::OperatorHandle multiply =
      c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_linear_pointwise", "");
  return call(multiply, {x_NI, ordered_OI, bias_O.defined() ? c10::IValue(bias_O) : c10::IValue(), "none",
                         c10::List<std::optional<at::Scalar>>(), c10::IValue()});
}

}  // namespace seprog
