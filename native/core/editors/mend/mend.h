// MEND: editor networks turn the fine-tuning gradient of a set of edits into one update of a few matrices (mend.md).
#pragma once

#include <memory>

#include "../editor.h"

namespace seprog {

/// Spec keys (all but kind have defaults): kind, seed, cEdit 0.1, cLoc 1, alphaInit 1e-4, alphaLearningRate 1e-4,
/// clipNorm 100, rank 1920 (at most the width of a network), microBatch 16, keepMiB 64, hypergradient
/// two_stage|create_graph, shared true, norm true, descent true, init identity|xavier, projectionDraw normal|xavier,
/// transform combined|separate|x_only|delta_only|one_sided, reduction mean|sum, optimizer {beta1 .9, beta2 .999, epsilon 1e-8}. Throws
/// CONFIG_INVALID.
std::shared_ptr<Editor> makeMend(const Json& spec, std::shared_ptr<const Model> base);

}  // namespace seprog
