// FT: some weight matrices are fitted to the edits, at edit time; nothing is trained before (ft.md).
#pragma once

#include <memory>

#include "editor.h"

namespace seprog {

/// Spec keys (all but kind have defaults): kind, objective edit|kl|total, editLearningRate (1e-4 for T5, 1e-6 for the
/// other families), maxSteps 100, clipNorm 100, rank 0 (R = u v of this rank; 0: a matrix of its own),
/// rankDeviation 0.01 and seed (of u), sequential false (one edit after the other instead of one batch), timeLimitMs
/// (none), microBatch 16 (rows of a pass), editWeight 0.01 (c of kl), lambda 0.3 (of total). The objectives kl and
/// total read EditRequests::outScope. Throws CONFIG_INVALID.
std::shared_ptr<Editor> makeFt(const Json& spec, std::shared_ptr<const Model> base);

}  // namespace seprog
