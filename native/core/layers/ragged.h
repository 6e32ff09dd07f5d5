// Which positions of a padded [B, T] grid are real. Token-wise layers run on the real ones only, packed as N
// rows; attention runs on the grid, by head. B rows, T columns, N real positions, H heads, C channels per
// head.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace seprog {

class RaggedLayout {
 public:
  /// Row b has lengths[b] real positions, columns 0 … lengths[b]−1.
  RaggedLayout(const std::vector<int64_t>& lengths, int64_t columns, const at::Device& device);

  int64_t rows() const { return static_cast<int64_t>(length_B_.size()); }
  int64_t columns() const { return columns_; }
  int64_t realCount() const { return realCount_; }
  bool full() const { return !flat_N_.defined(); }

  /// [B·T, …] → [N, …]: the real positions, row after row.
  at::Tensor pack(const at::Tensor& grid) const;
  /// [N, …] → [B·T, …], zero at padding.
  at::Tensor unpack(const at::Tensor& packed) const;
  /// Packed rows of the columns first_B[b] and later of each row: what a last block still computes.
  at::Tensor from(const std::vector<int64_t>& first_B, const at::Device& device) const;
  /// [N, H·C] → [B, H, T, C] in one copy, zero at padding. Differentiable any number of times, as is
  /// mergeHeads().
  at::Tensor splitHeads(const at::Tensor& packed, int64_t heads) const;
  /// [B, H, T, C] → [N, H·C] in one copy.
  at::Tensor mergeHeads(const at::Tensor& byHead) const;

 private:
  friend struct HeadMoves;

  int64_t columns_;
  int64_t realCount_ = 0;
  std::vector<int64_t> length_B_;
  std::vector<int64_t> start_B_;  // first packed row of each row
  at::Tensor flat_N_;             // undefined when every position is real
};

}  // namespace seprog
