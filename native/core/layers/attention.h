// Attention as products and a softmax, so that it can be differentiated twice: the fused kernels of the
// library cannot. B rows, H heads, Q query and K key positions, C channels per head.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace seprog {

/// softmax(q kᵀ + bias) v: [B, H, Q, C]. `bias` is undefined or broadcasts to [B, H, Q, K]; it holds position
/// bias and masks alike.
at::Tensor attend(const at::Tensor& q_BHQC, const at::Tensor& k_BHKC, const at::Tensor& v_BHKC,
                  const at::Tensor& bias);

/// 0 at real keys, the smallest finite float at padding: [B, 1, 1, K].
at::Tensor keyMask(const at::Tensor& mask_BK);

/// 0 where key position ≤ query position, else the smallest finite float: [1, 1, Q, K].
at::Tensor causalMask(int64_t firstQuery, int64_t queries, int64_t keys, const at::Device& device);
/// The same with a first query position of its own for each row: [B, 1, Q, K].
at::Tensor causalMask(const std::vector<int64_t>& firstQuery_B, int64_t queries, int64_t keys,
                      const at::Device& device);

}  // namespace seprog
