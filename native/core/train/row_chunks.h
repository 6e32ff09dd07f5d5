// A batch of pairs in chunks of rows: activations never exist for all of it at once.
#pragma once

#include <algorithm>

#include "../engine/job.h"
#include "../models/model.h"

namespace seprog {

/// Rows `first … first+count−1` of pairs.
inline PairRows slice(const PairRows& rows, int64_t first, int64_t count) {
  return {slice(rows.source, first, count), slice(rows.target, first, count)};
}

/// Calls use(source, targets) for every chunk. Cancellation is checked between chunks.
template <typename Use>
void eachChunk(const Architecture& family, const at::Device& device, const PairRows& rows, int64_t chunkRows,
               JobContext& context, Use&& use) {
  for (int64_t first = 0; first < rows.rows(); first += chunkRows) {
    context.checkCancelled();
    const PairRows chunk = slice(rows, first, std::min(chunkRows, rows.rows() - first));
    use(pad(chunk.source, family.padId(), family.vocabulary(), device),
        targetsFor(family, chunk.target, device));
  }
}

}  // namespace seprog
