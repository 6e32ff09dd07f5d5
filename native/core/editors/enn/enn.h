// ENN: the base is retrained so that one gradient step on edits edits it well and locally (enn.md).
#pragma once

#include <memory>

#include "../editor.h"

namespace seprog {

/// Trains all weights of the base, at the step's rate, and an inner learning rate for every editable matrix, at one
/// of their own; the base itself stays what drawdown is measured against.
///
/// Spec keys (all but kind have defaults): kind, innerSteps 1, innerRate 1e-2 (where the inner rates start),
/// innerRateLearningRate 1e-3, hypergradient two_stage|create_graph, firstOrder false, cEdit 0.1, cLoc 1, cBase 1,
/// clipNorm 100, microBatch 16 (rows of a pass), optimizer {beta1 .9, beta2 .999, epsilon 1e-8}; seed is read and not
/// used. Throws CONFIG_INVALID.
std::shared_ptr<Editor> makeEnn(const Json& spec, std::shared_ptr<const Model> base);

}  // namespace seprog
