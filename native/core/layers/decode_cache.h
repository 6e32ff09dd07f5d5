// Keys and values of the positions decoded so far, of all layers. Each row has a slot with room to grow: its positions
// stand one behind the other, without padding, and new ones are written in place. A row that leaves keeps its slot until the
// cache grows. R live rows, N new positions packed row after row, D width of keys and values.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "attention_memory.h"

namespace seprog {

class DecodeCache {
 public:
  DecodeCache(int64_t layers, int64_t rows, const at::Device& device);

  /// Makes room for added_R[r] further positions of each row, in all layers; the pass that follows fills it.
  void extend(const std::vector<int64_t>& added_R);
  /// Keys and values of the new positions of all rows.
  void append(int64_t layer, const PackedKeysValues& fresh);
  /// All that a layer has seen of each row. `bias_HT`: as prefixAttention() takes it.
  SpanMemory memory(int64_t layer, const at::Tensor& bias_HT = {}) const {
    return {seen_[layer], spans_, bias_HT};
  }
  /// Positions of the longest row.
  int64_t longest() const { return spans_.longest; }
  /// Keeps only these rows.
  void keep(const at::Tensor& rows_S);

 private:
  void grow(int64_t capacity, const std::vector<int64_t>& count_R);

  at::Device device_;
  std::vector<PackedKeysValues> seen_;  // [slots · capacity, D] each, undefined before the first append()
  int64_t slots_;
  int64_t capacity_ = 0;
  std::vector<int64_t> slot_R_, count_R_;
  at::Tensor place_N_;  // of the positions that the last extend() made room for
  Spans spans_;
};

}  // namespace seprog
