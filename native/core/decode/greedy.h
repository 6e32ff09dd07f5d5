// Greedy decoding, batch-safe: every row stops at its own stop token and leaves the batch.
#pragma once

#include <vector>

#include "../engine/job.h"
#include "../models/model.h"

namespace seprog {

struct GenerateOptions {
  int64_t maxNewTokens = 32;
  /// false: every row decodes exactly maxNewTokens (GPT-2's protocol; also used for timing).
  bool stopAtEnd = true;
};

/// New token ids per row, the stop token included where it was reached.
/// A classifier gives its one class id, whatever the options. Cancellation is checked between tokens. Source: models.md section 9.
TokenRows generateGreedy(const Architecture& architecture, const Weights& weights, const Encoded& encoded,
                         const Prompt& prompt, const GenerateOptions& options, JobContext& context);
/// The same from a state of `rows` rows that no one has read from yet.
TokenRows generateGreedy(const Architecture& architecture, DecodeState& state, int64_t rows,
                         const GenerateOptions& options, JobContext& context);

}  // namespace seprog
