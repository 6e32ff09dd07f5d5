// Products with frozen matrices that are stored in a type narrower than fp32 (tensor/narrow.h). Rows come and go in fp32.
// N rows, I inputs, O outputs, V rows of a table, D width.
#pragma once

#include <ATen/core/Tensor.h>

namespace seprog {

/// x_NI weightᵀ + bias in fp32: [N, O]; an undefined bias is none. `weight` is [O, I] in fp16 or bf16, or an 8-bit
/// matrix of either orientation.
///
/// fp16, bf16: rows are rounded to the weight's type, sums are fp32, the result is rounded once more. Differentiable any
/// number of times for x_NI and the bias; in fp16 gradients are scaled to the type's range and back, so that small ones
/// do not vanish.
/// int8: each row is rounded to codes of its own scale; sums are exact integers, so that a row's result depends on
/// nothing beside it. Throws UNSUPPORTED where a graph is recorded.
at::Tensor narrowLinear(const at::Tensor& x_NI, const at::Tensor& weight, const at::Tensor& bias_O = {});

/// g_NO weight: [N, I], the way back through a frozen head. Throws UNSUPPORTED for an 8-bit weight.
at::Tensor narrowBack(const at::Tensor& g_NO, const at::Tensor& weight_OI);

/// Rows of a table, of a narrow one in fp32: [.., D] for ids [..].
at::Tensor embedRows(const at::Tensor& table_VD, const at::Tensor& ids);

}  // namespace seprog
