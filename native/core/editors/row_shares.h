// Rows of a batch that are answered in parts, and what becomes of the parts. B rows of the batch, R of a part, N target
// tokens, V vocabulary.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "../tensor/token_batch.h"

namespace seprog {

/// 0 … rows − 1.
std::vector<int64_t> allRows(int64_t rows);
/// The rows as an index tensor.
at::Tensor rowIndices(const std::vector<int64_t>& rows, const at::Device& device);
/// Where the target tokens of `rows` stand among all target tokens of the batch.
std::vector<int64_t> placesOf(const std::vector<int64_t>& rows, const TokenRows& target);

/// Logits of all target tokens [N, V] from those of parts.
class GatheredLogits {
 public:
  explicit GatheredLogits(const TokenRows& target) : target_(target) {}
  void put(const std::vector<int64_t>& rows_R, const at::Tensor& part_NV);
  at::Tensor take() { return std::move(logits_NV_); }

 private:
  const TokenRows& target_;
  at::Tensor logits_NV_;
};

/// Answers of all rows from those of parts.
class GatheredAnswers {
 public:
  explicit GatheredAnswers(int64_t rows) : answers_(rows) {}
  void put(const std::vector<int64_t>& rows_R, const TokenRows& part);
  TokenRows take() const;

 private:
  std::vector<std::vector<int32_t>> answers_;
};

}  // namespace seprog
