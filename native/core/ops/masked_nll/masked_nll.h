// Negative log-likelihood over rows of logits, in place: log-softmax, the label's entry, the arg-max and, with weights,
// the gradient, in one visit of each row. The logits' rows come in blocks from the caller (train/losses.h), so that
// neither they nor their probabilities ever exist for all rows.
//
// N rows, V vocabulary.
#pragma once

#include <ATen/core/Tensor.h>

namespace seprog {

struct RowScores {
  at::Tensor logProb_N;  // ln softmax at the label; float
  at::Tensor argmax_N;   // int64, the first of equal ones
};

/// Writes into `out`. With a defined `weight_N` (float) the logits become the gradient of −Σ_n weight_n ln p(label_n)
/// for themselves; without one they may be destroyed. No graph: second derivatives of the same loss are taken from
/// libtorch's own log_softmax, where a loss is differentiated twice. Fused: fp32 on the CPU; fp32, fp16 and bf16 on CUDA.
/// Throws DATA_INVALID for a label outside the vocabulary (CPU).
void maskedNll(const at::Tensor& logits_NV, const at::Tensor& labels_N, const at::Tensor& weight_N,
               const RowScores& out);

/// The definition, in libtorch's own ops.
void maskedNllReference(const at::Tensor& logits_NV, const at::Tensor& labels_N, const at::Tensor& weight_N,
                        const RowScores& out);

}  // namespace seprog
