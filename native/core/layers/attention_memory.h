// What queries attend over, in two shapes: a grid that can be differentiated, and spans of packed positions that one new
// position of each row reads. B rows, H heads, C channels per head, K key columns, N packed positions, T positions of the
// longest span, D = H·C.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "../ops/prefix_attention/prefix_attention.h"
#include "ragged.h"

namespace seprog {

/// Keys and values of one attention layer over some columns.
struct KeysValues {
  at::Tensor k_BHKC;
  at::Tensor v_BHKC;
};

/// The same before they are split by head: of packed positions, as the projections write them.
struct PackedKeysValues {
  at::Tensor k_ND;
  at::Tensor v_ND;
  KeysValues onGrid(const RaggedLayout& layout, int64_t heads) const {
    return {layout.splitHeads(k_ND, heads), layout.splitHeads(v_ND, heads)};
  }
};

struct GridMemory {
  const RaggedLayout& queries;
  KeysValues seen;
  at::Tensor bias;  // as attend() takes it
};

struct SpanMemory {
  PackedKeysValues seen;
  Spans spans;
  at::Tensor bias_HT = {};  // as prefixAttention() takes it
};

/// softmax(scale · q kᵀ + bias) v, head by head, of packed queries: [N, D].
at::Tensor readMemory(const at::Tensor& q_ND, int64_t heads, double scale, const GridMemory& memory);
/// The same with one query a row, without a graph.
at::Tensor readMemory(const at::Tensor& q_RD, int64_t heads, double scale, const SpanMemory& memory);

}  // namespace seprog
