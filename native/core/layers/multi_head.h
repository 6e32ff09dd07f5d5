// Attention as BART, BERT and DistilBERT have it: biases in all four projections, scores times 1/√C
// (models.md sections 5 and 6). B rows, H heads, C channels per head, K key columns, N packed positions, D
// width.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "../tensor/weights.h"
#include "ragged.h"

namespace seprog {

/// Keys and values of one attention layer over some columns.
struct KeysValues {
  at::Tensor k_BHKC;
  at::Tensor v_BHKC;
};

class MultiHead {
 public:
  /// Where the projections stand below a layer's scope, e.g. {"q_proj", "k_proj", "v_proj", "out_proj"}.
  struct Names {
    std::string query, key, value, output;
  };
  MultiHead(int64_t heads, Names names) : heads_(heads), names_(std::move(names)) {}

  KeysValues keysValues(const Scope& scope, const at::Tensor& x_ND, const RaggedLayout& layout) const;
  /// Queries from x_ND over `seen`, behind the output projection: [N, D]. `bias`: as attend() takes it.
  at::Tensor attention(const Scope& scope, const at::Tensor& x_ND, const RaggedLayout& layout,
                       const KeysValues& seen, const at::Tensor& bias) const;

 private:
  int64_t heads_;
  Names names_;
};

}  // namespace seprog
