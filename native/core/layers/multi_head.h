// Attention as BART, BERT and DistilBERT have it: biases in all four projections, scores times 1/√C
// (models.md sections 5 and 6). B rows, H heads, C channels per head, K key columns, N packed positions, D
// width.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "../tensor/weights.h"
#include "attention_memory.h"
#include "ragged.h"

namespace seprog {

class MultiHead {
 public:
  /// Where the projections stand below a layer's scope, e.g. {"q_proj", "k_proj", "v_proj", "out_proj"}.
  struct Names {
    std::string query, key, value, output;
  };
  MultiHead(int64_t heads, Names names) : heads_(heads), names_(std::move(names)) {}

  PackedKeysValues packedKeysValues(const Scope& scope, const at::Tensor& x_ND) const;
  KeysValues keysValues(const Scope& scope, const at::Tensor& x_ND, const RaggedLayout& layout) const {
    return packedKeysValues(scope, x_ND).onGrid(layout, heads_);
  }
  int64_t heads() const { return heads_; }
  /// Queries from x_ND over a GridMemory or a SpanMemory, behind the output projection: [N, D].
  template <typename Memory>
  at::Tensor attention(const Scope& scope, const at::Tensor& x_ND, const Memory& memory) const {
    const at::Tensor q_ND = queries(scope, x_ND);
    return output(scope, readMemory(q_ND, heads_, scaleOf(q_ND), memory));
  }
  /// The same over a grid. `bias`: as attend() takes it.
  at::Tensor attention(const Scope& scope, const at::Tensor& x_ND, const RaggedLayout& layout,
                       const KeysValues& seen, const at::Tensor& bias) const {
    return attention(scope, x_ND, GridMemory{layout, seen, bias});
  }

 private:
  at::Tensor queries(const Scope& scope, const at::Tensor& x_ND) const;
  at::Tensor output(const Scope& scope, const at::Tensor& read_ND) const;
  double scaleOf(const at::Tensor& q_ND) const;

  int64_t heads_;
  Names names_;
};

}  // namespace seprog
