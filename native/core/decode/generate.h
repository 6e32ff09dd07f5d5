// Greedy decoding and sampling, batch-safe: every row stops at its own stop token and leaves the batch.
#pragma once

#include <optional>
#include <vector>

#include "../engine/job.h"
#include "../models/model.h"

namespace seprog {

/// Tokens drawn from softmax(logits / temperature) instead of their arg-max. Each row has a stream of its own,
/// made of the seed and the row's source ids: what is drawn does not depend on the rows beside it, and equal
/// sources get equal answers.
struct Sampling {
  uint64_t seed = 0;
  double temperature = 1;  // above 0
};

struct GenerateOptions {
  int64_t maxNewTokens = 32;
  /// false: every row decodes exactly maxNewTokens (GPT-2's protocol; also used for timing).
  bool stopAtEnd = true;
  std::optional<Sampling> sample = std::nullopt;
};

/// New token ids per row, the stop token included where it was reached.
/// A classifier gives its one class id, whatever the options. Cancellation is checked between tokens. Source:
/// models.md section 9.
TokenRows generateTokens(const Architecture& architecture, const Weights& weights, const Encoded& encoded,
                         const Prompt& prompt, const GenerateOptions& options, JobContext& context);
/// The same from a state over the rows of `source` that no one has read from yet.
TokenRows generateTokens(const Architecture& architecture, DecodeState& state, const TokenBatch& source,
                         const GenerateOptions& options, JobContext& context);

}  // namespace seprog
