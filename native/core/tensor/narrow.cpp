#include "narrow.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_make_per_channel_quantized_tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <vector>

namespace seprog {
namespace {

constexpr double kLargestCode = 127;
// Rows of a product the packing is made for; other numbers of rows take the same layout.
constexpr int64_t kTypicalRows = 64;

struct Int8Meta final : c10::BackendMeta {
  explicit Int8Meta(Int8Matrix content) : content(std::move(content)) {}
  Int8Matrix content;
};

at::Tensor packedForProducts(const at::Tensor& codes_OI) {
  static const c10::OperatorHandle pack =
      c10::Dispatcher::singleton().findSchemaOrThrow("onednn::qlinear_prepack", "");
  std::vector<c10::IValue> stack{codes_OI, std::vector<int64_t>{kTypicalRows, codes_OI.size(1)}};
  pack.callBoxed(&stack);
  return stack.at(0).toTensor();
}

}  // namespace

at::Tensor inFp32(const at::Tensor& W) {
  if (!isNarrow(W)) return W;
  return W.is_quantized() ? W.dequantize() : W.to(at::kFloat);
}

at::Tensor quantised(const at::Tensor& W, int64_t outputs) {
  at::NoGradGuard noGrad;
  const at::Tensor largest = W.abs().amax(1 - outputs, true);
  const at::Tensor scale = (largest / kLargestCode).masked_fill_(largest.eq(0), 1.0);
  const at::Tensor scale_O = scale.reshape({-1}).contiguous();
  const at::Tensor rounded = (W / scale).round_().to(at::kChar);
  at::Tensor tensor = at::_make_per_channel_quantized_tensor(rounded, scale_O,
                                                             at::zeros(scale_O.sizes(), at::kLong), outputs);
  const at::Tensor codes =
      at::empty({0}, at::kChar).set_(tensor.storage(), 0, tensor.sizes(), tensor.strides());
  const at::Tensor codes_OI = (outputs == 0 ? codes : codes.t()).contiguous();
  tensor.unsafeGetTensorImpl()->set_backend_meta(c10::make_intrusive<Int8Meta>(
      Int8Matrix{codes, scale_O, packedForProducts(codes_OI), at::zeros(scale_O.sizes(), at::kInt)}));
  return tensor;
}

const Int8Matrix* int8Of(const at::Tensor& W) {
  if (W.scalar_type() != at::kQInt8) return nullptr;
  const auto* meta = dynamic_cast<const Int8Meta*>(W.unsafeGetTensorImpl()->get_backend_meta());
  return meta == nullptr ? nullptr : &meta->content;
}

}  // namespace seprog
