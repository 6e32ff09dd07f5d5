// Attention of one new position a row over what that row has seen: a prefix and its tokens, or an encoder's output. Keys
// and values stand packed, as projections write them, and each row reads a span of its own: neither padding nor rows that
// have left the batch are ever read.
//
// R rows, N packed positions, T positions of the longest span, H heads, C channels per head, D = H·C.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace seprog {

/// Which packed positions each row reads: count_R[r] of them from first_R[r] on; none gives zeros.
struct Spans {
  at::Tensor first_R;   // int64
  at::Tensor count_R;   // int64
  int64_t longest = 0;  // the largest count

  /// Rows of these lengths, one behind the other.
  static Spans packed(const std::vector<int64_t>& lengths, const at::Device& device);
  Spans select(const at::Tensor& rows_S) const;
};

/// softmax(scale · q kᵀ + bias) v over each row's span, head by head: [R, D]. bias_HT, where defined, is added to the
/// scores of the t-th position of a span, the same for every row. No graph is recorded. What a row gets does not depend,
/// to the bit, on the rows beside it. Fused: fp32 on the CPU, where it holds one row's scores a thread; fp32, fp16 and bf16
/// on CUDA for heads of up to 128 channels, where it holds none.
at::Tensor prefixAttention(const at::Tensor& q_RD, const at::Tensor& k_ND, const at::Tensor& v_ND,
                           const Spans& spans, int64_t heads, double scale, const at::Tensor& bias_HT = {});

/// The definition, in libtorch's own ops.
at::Tensor prefixAttentionReference(const at::Tensor& q_RD, const at::Tensor& k_ND, const at::Tensor& v_ND,
                                    const Spans& spans, int64_t heads, double scale,
                                    const at::Tensor& bias_HT = {});

}  // namespace seprog
