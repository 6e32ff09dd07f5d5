// Token ids as they cross the native border (ragged rows) and as models read them (padded tensors).
// B rows, S or T columns, N real tokens.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace seprog {

/// B ragged rows: `ids` is their concatenation, `lengths[b]` the number of ids of row b (0 is allowed).
struct TokenRows {
  std::vector<int32_t> ids;
  std::vector<int32_t> lengths;
  std::vector<int32_t> types = {};  // token types of sentence pairs, one an id; empty: all 0
  int64_t rows() const { return static_cast<int64_t>(lengths.size()); }
};

/// Rows of (source, target) pairs: the same number of rows on both sides.
struct PairRows {
  TokenRows source;
  TokenRows target;
  int64_t rows() const { return source.rows(); }
};

/// Right-padded ids. `mask_BS` is true at real tokens. `fullyReal` tells that no row has padding.
struct TokenBatch {
  at::Tensor ids_BS;    // int64
  at::Tensor mask_BS;   // bool
  at::Tensor types_BS;  // int64, 0 at padding; undefined: all 0
  std::vector<int64_t> lengths;
  bool fullyReal = true;
  int64_t rows() const { return ids_BS.size(0); }
  int64_t columns() const { return ids_BS.size(1); }
  TokenBatch select(const at::Tensor& rows_R) const;
};

/// Pads on the right with `padId`. Throws DATA_INVALID when an id is outside [0, vocabulary) (naming row,
/// column and id), when lengths do not add up to ids, when there are types but not one an id, or when there is
/// no row.
TokenBatch pad(const TokenRows& rows, int64_t padId, int64_t vocabulary, const at::Device& device);

/// Rows `first … first+count−1` of ragged rows.
TokenRows slice(const TokenRows& rows, int64_t first, int64_t count);
TokenRows pick(const TokenRows& rows, const std::vector<int64_t>& indices);

}  // namespace seprog
