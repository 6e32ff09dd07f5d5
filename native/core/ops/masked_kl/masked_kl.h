// Divergence of two models' tokens over rows of logits: KL(softmax p ‖ softmax q) (metrics.md section 6). Each row is
// visited where it lies; no log-softmax, no probability is ever stored.
//
// N rows, V vocabulary.
#pragma once

#include <ATen/core/Tensor.h>

namespace seprog {

/// Writes Σ_v p (ln p − ln q) of each row into `kl_N` (float). With a defined `weight_N` (float) the logits q become the
/// gradient of Σ_n weight_n KL_n for themselves, weight (q − p); without one they stay. p is a constant and stays. No
/// graph. Fused: fp32 on the CPU; fp32, fp16 and bf16 on CUDA. Logits are finite or NaN; a NaN makes its row NaN.
/// Throws SHAPE_MISMATCH unless p and q have one shape [N, V] with V > 0.
void maskedKl(const at::Tensor& p_NV, const at::Tensor& q_NV, const at::Tensor& weight_N,
              const at::Tensor& kl_N);

/// The same as a part of a graph, in the dtype of q: gradients pass to q any number of times, none to p. The first is
/// fused and holds one tensor [N, V] beside the logits; further ones are taken through the reference.
at::Tensor maskedKl(const at::Tensor& p_NV, const at::Tensor& q_NV);

/// The definition, in libtorch's own ops.
at::Tensor maskedKlReference(const at::Tensor& p_NV, const at::Tensor& q_NV);

}  // namespace seprog
