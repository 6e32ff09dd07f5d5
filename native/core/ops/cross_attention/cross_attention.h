// Attention of inputs over rows that are keys and values at once: h = softmax(scale · q rowsᵀ) rows, the selection of
// edits of SEPROG (seprog.md section 2, R7). A full matrix of weights exists only where it is asked for.
//
// n groups, R queries and K rows of a group (a query sees the rows of its own group only), H width, C rows of a block.
#pragma once

#include <ATen/core/Tensor.h>

namespace seprog {

struct CrossAttentionWants {
  bool alpha = false;
  bool argmax = false;
};

struct CrossAttention {
  at::Tensor h_nRH;
  at::Tensor alpha_nRK;  // softmax weights, where wanted; no gradient passes through them
  at::Tensor argmax_nR;  // int64: the row of the largest weight, the first of equal ones; where wanted
};

/// Gradients pass from h to q and to the rows, any number of times. Fused: the rows pass in blocks through a
/// running softmax, forward and backward, so that memory beside the results is a few MiB whatever K; exact up to
/// the order of summation. fp32 on the CPU; fp32, fp16 and bf16 on CUDA. The reference serves every other dtype, second
/// derivatives, and gradients where all rows are one block. Throws SHAPE_MISMATCH for other shapes than
/// q [n, R, H] and rows [n, K, H] or for K = 0.
CrossAttention crossAttention(const at::Tensor& q_nRH, const at::Tensor& rows_nKH, double scale,
                              CrossAttentionWants wants = {});

/// The definition, in libtorch's own ops.
CrossAttention crossAttentionReference(const at::Tensor& q_nRH, const at::Tensor& rows_nKH, double scale,
                                       CrossAttentionWants wants = {});

}  // namespace seprog
