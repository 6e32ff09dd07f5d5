#include "row_shares.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include <numeric>

namespace seprog {

std::vector<int64_t> allRows(int64_t rows) {
  std::vector<int64_t> all(rows);
  std::iota(all.begin(), all.end(), 0);
  return all;
}

at::Tensor rowIndices(const std::vector<int64_t>& rows, const at::Device& device) {
  return at::tensor(rows, at::kLong).to(device);
}

std::vector<int64_t> placesOf(const std::vector<int64_t>& rows, const TokenRows& target) {
  std::vector<int64_t> start(target.lengths.size() + 1, 0);
  for (size_t b = 0; b < target.lengths.size(); ++b) start[b + 1] = start[b] + target.lengths[b];
  std::vector<int64_t> places;
  for (const int64_t b : rows) {
    for (int64_t place = start[b]; place < start[b + 1]; ++place) places.push_back(place);
  }
  return places;
}

void GatheredLogits::put(const std::vector<int64_t>& rows_R, const at::Tensor& part_NV) {
  if (static_cast<int64_t>(rows_R.size()) == target_.rows()) {
    logits_NV_ = part_NV;
    return;
  }
  if (!logits_NV_.defined()) {
    logits_NV_ = at::empty({static_cast<int64_t>(target_.ids.size()), part_NV.size(1)}, part_NV.options());
  }
  logits_NV_.index_copy_(0, rowIndices(placesOf(rows_R, target_), part_NV.device()), part_NV);
}

void GatheredAnswers::put(const std::vector<int64_t>& rows_R, const TokenRows& part) {
  auto next = part.ids.begin();
  for (size_t r = 0; r < rows_R.size(); ++r) {
    answers_[rows_R[r]].assign(next, next + part.lengths[r]);
    next += part.lengths[r];
  }
}

TokenRows GatheredAnswers::take() const {
  TokenRows rows;
  for (const std::vector<int32_t>& answer : answers_) {
    rows.ids.insert(rows.ids.end(), answer.begin(), answer.end());
    rows.lengths.push_back(static_cast<int32_t>(answer.size()));
  }
  return rows;
}

}  // namespace seprog
