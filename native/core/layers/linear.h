// Linear layers on packed rows. N rows, I inputs, O outputs.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>

#include "../tensor/weights.h"

namespace seprog {

/// x_NI weightᵀ + bias: [N, O]; an undefined bias is none. Where no graph is recorded, a row's result does not depend on how many rows stand
/// beside it: matrix products take other code paths for a few rows, so the rows are filled up to a multiple
/// of kRowGranule and to more than kSmallProduct. This is what makes a row answered in a sub-batch equal, to
/// the bit, to the same row in the whole batch. A weight of a narrower type is multiplied as narrowLinear() does, and a frozen
/// one without a graph by its packed form (packed_weight.h).
at::Tensor projectRows(const at::Tensor& x_NI, const at::Tensor& weight_OI, const at::Tensor& bias_O = {});

/// projectRows() by a named weight; records input and output where the taps want this weight.
at::Tensor linear(const Scope& scope, std::string_view name, const at::Tensor& x_NI);

/// The same with a bias: `layer`.weight [O, I] and `layer`.bias.
at::Tensor biasedLinear(const Scope& scope, const std::string& layer, const at::Tensor& x_NI);

/// GPT-2's Conv1D: `layer`.weight is [I, O] (models.md section 3).
at::Tensor transposedLinear(const Scope& scope, const std::string& layer, const at::Tensor& x_NI);

/// The output layer: logits = scale · h weightᵀ (+ bias).
struct Head {
  at::Tensor weight_VD;
  double scale = 1;
  at::Tensor bias_V;  // undefined: none
};

/// Logits [N, V].
at::Tensor applyHead(const Head& head, const at::Tensor& h_ND);

/// Rows in other than such groups reach other kernels of the matrix library.
constexpr int64_t kRowGranule = 16;
/// Products of so many multiplications or fewer are never handed to oneDNN by libtorch.
constexpr int64_t kSmallProduct = 16 * 16 * 16;

}  // namespace seprog
