#include "narrow_linear.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "../error.h"
#include "../instrument/memory_role.h"
#include "../tensor/narrow.h"
#include "../tensor/vectorise.h"
#include "linear.h"

namespace seprog {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kLanes = 32;
constexpr int64_t kGrainElements = 1 << 14;
constexpr float kLargestCode = 127.0f;
// oneDNN multiplies unsigned rows with signed weights.
constexpr int64_t kZeroCode = 128;
// The largest gradient in fp16: a product of so many summands as a vocabulary has stays below the type's 65504.
constexpr double kGradientRange = 1.0;

bool isRecorded(const at::Tensor& x, const at::Tensor& bias) {
  return at::GradMode::is_enabled() && (x.requires_grad() || (bias.defined() && bias.requires_grad()));
}

/// At least kRowGranule rows, in whole granules, as projectRows() fills them: a row's bits depend on no other.
at::Tensor product(const at::Tensor& x_NI, const at::Tensor& weight_OI) {
  const int64_t rows = x_NI.size(0);
  const int64_t enough = std::max(rows, kSmallProduct / std::max<int64_t>(1, weight_OI.numel()) + 1);
  const int64_t filled = (enough + kRowGranule - 1) / kRowGranule * kRowGranule;
  if (rows == filled) return at::linear(x_NI.to(weight_OI.scalar_type()), weight_OI).to(at::kFloat);
  const at::Tensor x_FI = at::zeros({filled, x_NI.size(1)}, x_NI.options().dtype(weight_OI.scalar_type()));
  x_FI.narrow(0, 0, rows).copy_(x_NI);
  return at::linear(x_FI, weight_OI).narrow(0, 0, rows).to(at::kFloat);
}

at::Tensor halfProduct(const at::Tensor& x_NI, const at::Tensor& weight_OI);

/// The same for gradients, whose size says nothing about the size of their product.
at::Tensor gradientProduct(const at::Tensor& g_NO, const at::Tensor& weight_IO) {
  if (weight_IO.scalar_type() != at::kHalf || g_NO.numel() == 0) return halfProduct(g_NO, weight_IO);
  const at::Tensor scale = g_NO.detach().abs().amax().div(kGradientRange).clamp_min(1e-30);
  return halfProduct(g_NO / scale, weight_IO) * scale;
}

class HalfProduct : public torch::autograd::Function<HalfProduct> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_NI, const at::Tensor& weight_OI) {
    context->save_for_backward({weight_OI});
    return product(x_NI, weight_OI);
  }
  static variable_list backward(AutogradContext* context, variable_list above) {
    const at::Tensor weight_OI = context->get_saved_variables()[0];
    return {gradientProduct(above[0], weight_OI.t()), at::Tensor()};
  }
};

at::Tensor halfProduct(const at::Tensor& x_NI, const at::Tensor& weight_OI) {
  if (!isRecorded(x_NI, {})) return product(x_NI, weight_OI);
  const RoleScope kept(currentMemoryRole());  // inside a function nothing is recorded
  return HalfProduct::apply(x_NI, weight_OI);
}

/// Codes of a row around kZeroCode; their scale.
SEPROG_VECTORISED float quantiseRow(const float* x, uint8_t* code, int64_t count) {
  float lane[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) {
      const float magnitude = std::abs(x[i + l]);
      lane[l] = magnitude > lane[l] ? magnitude : lane[l];
    }
  }
  for (; i < count; ++i) lane[0] = std::max(lane[0], std::abs(x[i]));
  const float largest = *std::max_element(lane, lane + kLanes);
  const float inverse = largest > 0 ? kLargestCode / largest : 0.0f;
  constexpr float kRound = 12582912.0f;  // 1.5 · 2^23: adding and taking it away rounds to an integer
  for (int64_t j = 0; j < count; ++j) {
    const auto rounded = static_cast<int32_t>((x[j] * inverse + kRound) - kRound);
    code[j] = static_cast<uint8_t>(rounded + static_cast<int32_t>(kZeroCode));
  }
  return largest / kLargestCode;
}

SEPROG_VECTORISED void scaleRow(float* y, float scale, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] *= scale;
}

SEPROG_VECTORISED void scaleRowAndAdd(float* y, float scale, const float* bias, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = y[i] * scale + bias[i];
}

at::Tensor int8Product(const at::Tensor& codes_NI, const Int8Matrix& weight) {
  static const c10::OperatorHandle multiply =
      c10::Dispatcher::singleton().findSchemaOrThrow("onednn::qlinear_pointwise", "");
  std::vector<c10::IValue> stack{codes_NI,
                                 1.0,
                                 kZeroCode,
                                 weight.packed,
                                 weight.scale_O,
                                 weight.zero_O,
                                 c10::IValue(),
                                 1.0,
                                 int64_t{0},
                                 at::kFloat,
                                 "none",
                                 c10::List<std::optional<at::Scalar>>(),
                                 ""};
  multiply.callBoxed(&stack);
  return stack.at(0).toTensor();
}

at::Tensor int8Linear(const at::Tensor& x_NI, const Int8Matrix& weight, const at::Tensor& bias_O) {
  if (isRecorded(x_NI, bias_O)) {
    fail(ErrorCode::Unsupported,
         "expected a base with gradients for `dtype` of the base model but received \"int8\", which only "
         "answers; "
         "train with fp32 or bf16 and answer with int8");
  }
  const at::Tensor x = x_NI.contiguous();
  const int64_t rows = x.size(0);
  const int64_t width = x.size(1);
  const at::Tensor codes_NI = at::empty(x.sizes(), x.options().dtype(at::kByte));
  const at::Tensor scale_N = at::empty({rows}, x.options());
  const auto* from = x.const_data_ptr<float>();
  auto* code = codes_NI.mutable_data_ptr<uint8_t>();
  auto* scale = scale_N.mutable_data_ptr<float>();
  at::parallel_for(0, rows, std::max<int64_t>(1, kGrainElements / width), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) scale[n] = quantiseRow(from + n * width, code + n * width, width);
  });
  if (rows == 0) return at::empty({0, weight.scale_O.size(0)}, x.options());
  at::Tensor y_NO = int8Product(codes_NI, weight);
  const int64_t outputs = y_NO.size(1);
  const float* bias = bias_O.defined() ? bias_O.const_data_ptr<float>() : nullptr;
  auto* y = y_NO.mutable_data_ptr<float>();
  at::parallel_for(0, rows, std::max<int64_t>(1, kGrainElements / outputs), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      if (bias == nullptr) {
        scaleRow(y + n * outputs, scale[n], outputs);
      } else {
        scaleRowAndAdd(y + n * outputs, scale[n], bias, outputs);
      }
    }
  });
  return y_NO;
}

}  // namespace

at::Tensor narrowLinear(const at::Tensor& x_NI, const at::Tensor& weight, const at::Tensor& bias_O) {
  if (const Int8Matrix* int8 = int8Of(weight)) return int8Linear(x_NI, *int8, bias_O);
  const at::Tensor y_NO = halfProduct(x_NI, weight);
  return bias_O.defined() ? y_NO + bias_O : y_NO;
}

at::Tensor narrowBack(const at::Tensor& g_NO, const at::Tensor& weight_OI) {
  if (int8Of(weight_OI) == nullptr) return gradientProduct(g_NO, weight_OI.t());
  fail(ErrorCode::Unsupported,
       "expected a base with gradients for `dtype` of the base model but received \"int8\", which only "
       "answers; "
       "train with fp32 or bf16 and answer with int8");
}

at::Tensor embedRows(const at::Tensor& table_VD, const at::Tensor& ids) {
  const Int8Matrix* int8 = int8Of(table_VD);
  if (int8 == nullptr) {
    const at::Tensor rows = at::embedding(table_VD, ids);
    return isNarrow(table_VD) ? rows.to(at::kFloat) : rows;
  }
  const at::Tensor scale = int8->scale_O.index_select(0, ids.reshape({-1})).view(ids.sizes()).unsqueeze(-1);
  return at::embedding(int8->codes_OI, ids).to(at::kFloat) * scale;
}

}  // namespace seprog
