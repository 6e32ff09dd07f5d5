// What cross-attention projects. B rows, S source columns, N real positions packed row after row, D width.
#pragma once

#include "../layers/attention.h"
#include "../layers/ragged.h"
#include "model.h"

namespace seprog {

/// The real positions of an encoder's output.
struct EncodedRows {
  explicit EncodedRows(const Encoded& encoded)
      : layout(encoded.source.lengths, encoded.source.columns(), encoded.h_BSD.device()),
        h_ND(layout.pack(encoded.h_BSD.reshape({-1, encoded.h_BSD.size(2)}))) {}
  RaggedLayout layout;
  at::Tensor h_ND;
};

/// Hides the padding of a source: [B, 1, 1, S], or undefined without padding.
inline at::Tensor paddingMask(const TokenBatch& source) {
  return source.fullyReal ? at::Tensor() : keyMask(source.mask_BS);
}

}  // namespace seprog
