#include "token_batch.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <numeric>
#include <string>

#include "../error.h"
#include "../instrument/memory_role.h"

namespace seprog {

TokenBatch TokenBatch::select(const at::Tensor& rows_R) const {
  const RoleScope role(MemoryRole::Other);
  TokenBatch out;
  out.ids_BS = ids_BS.index_select(0, rows_R);
  out.mask_BS = mask_BS.index_select(0, rows_R);
  if (types_BS.defined()) out.types_BS = types_BS.index_select(0, rows_R);
  const at::Tensor rows = rows_R.to(at::kCPU).contiguous();
  const int64_t* row = rows.const_data_ptr<int64_t>();
  out.lengths.reserve(rows.numel());
  for (int64_t i = 0; i < rows.numel(); ++i) out.lengths.push_back(lengths[row[i]]);
  const int64_t width = columns();
  out.fullyReal = std::all_of(out.lengths.begin(), out.lengths.end(), [&](int64_t n) { return n == width; });
  return out;
}

TokenBatch pad(const TokenRows& rows, int64_t padId, int64_t vocabulary, const at::Device& device) {
  const int64_t rowCount = rows.rows();
  if (rowCount == 0) fail(ErrorCode::DataInvalid, "expected at least one row for `tokens` but received none");
  int64_t total = 0;
  int64_t width = 1;
  for (int64_t b = 0; b < rowCount; ++b) {
    if (rows.lengths[b] < 0) {
      fail(ErrorCode::DataInvalid, "expected a length of 0 or more for `tokens.lengths[" + std::to_string(b) +
                                       "]` but received " + std::to_string(rows.lengths[b]));
    }
    total += rows.lengths[b];
    width = std::max<int64_t>(width, rows.lengths[b]);
  }
  if (total != static_cast<int64_t>(rows.ids.size())) {
    fail(ErrorCode::DataInvalid, "expected lengths that add up to " + std::to_string(rows.ids.size()) +
                                     " ids for `tokens.lengths` but received a sum of " +
                                     std::to_string(total));
  }
  if (!rows.types.empty() && rows.types.size() != rows.ids.size()) {
    fail(ErrorCode::DataInvalid, "expected one type an id (" + std::to_string(rows.ids.size()) +
                                     ") for `tokens.types` but received " +
                                     std::to_string(rows.types.size()));
  }

  const RoleScope role(MemoryRole::Other);
  at::Tensor ids_BS = at::empty({rowCount, width}, at::kLong);
  at::Tensor mask_BS = at::empty({rowCount, width}, at::kBool);
  int64_t* ids = ids_BS.mutable_data_ptr<int64_t>();
  bool* mask = mask_BS.mutable_data_ptr<bool>();
  TokenBatch batch;
  batch.lengths.reserve(rowCount);
  size_t next = 0;
  for (int64_t b = 0; b < rowCount; ++b) {
    const int64_t length = rows.lengths[b];
    for (int64_t s = 0; s < width; ++s) {
      const bool real = s < length;
      const int64_t id = real ? rows.ids[next++] : padId;
      if (real && (id < 0 || id >= vocabulary)) {
        fail(ErrorCode::DataInvalid, "expected an id in [0, " + std::to_string(vocabulary) +
                                         ") for `tokens` row " + std::to_string(b) + " column " +
                                         std::to_string(s) + " but received " + std::to_string(id) +
                                         "; was the text tokenised for another model?");
      }
      ids[b * width + s] = id;
      mask[b * width + s] = real;
    }
    batch.fullyReal = batch.fullyReal && length == width;
    batch.lengths.push_back(length);
  }
  if (!rows.types.empty()) {
    at::Tensor types_BS = at::zeros({rowCount, width}, at::kLong);
    size_t at = 0;
    for (int64_t b = 0; b < rowCount; ++b) {
      int64_t* type = types_BS.mutable_data_ptr<int64_t>() + b * width;
      for (int64_t s = 0; s < rows.lengths[b]; ++s) type[s] = rows.types[at++];
    }
    batch.types_BS = types_BS.to(device);
  }
  batch.ids_BS = ids_BS.to(device);
  batch.mask_BS = mask_BS.to(device);
  return batch;
}

TokenRows slice(const TokenRows& rows, int64_t first, int64_t count) {
  std::vector<int64_t> indices(count);
  std::iota(indices.begin(), indices.end(), first);
  return pick(rows, indices);
}

TokenRows pick(const TokenRows& rows, const std::vector<int64_t>& indices) {
  std::vector<int64_t> start(rows.lengths.size() + 1, 0);
  for (size_t b = 0; b < rows.lengths.size(); ++b) start[b + 1] = start[b] + rows.lengths[b];
  TokenRows out;
  out.lengths.reserve(indices.size());
  for (const int64_t b : indices) {
    if (b < 0 || b >= rows.rows()) {
      fail(ErrorCode::Internal,
           "expected a row in [0, " + std::to_string(rows.rows()) + ") but received " + std::to_string(b));
    }
    out.ids.insert(out.ids.end(), rows.ids.begin() + start[b], rows.ids.begin() + start[b + 1]);
    out.lengths.push_back(rows.lengths[b]);
    if (rows.types.empty()) continue;
    out.types.insert(out.types.end(), rows.types.begin() + start[b], rows.types.begin() + start[b + 1]);
  }
  return out;
}

}  // namespace seprog
