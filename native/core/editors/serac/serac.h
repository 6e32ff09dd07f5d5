// SERAC: edits are kept as text; a scope classifier routes an input to the frozen base model or to a small counterfactual
// model that reads the retrieved edit before it (serac.md).
#pragma once

#include "../editor.h"

namespace seprog {

/// Options: `seed`, `scopeClassifier` (embedding | cross_attention), `classifier` and `counterfactual` ({source: base} or
/// {source: directory, path}), `cEdit`, `cLoc`, `threshold`, `useAllNegatives`, `softWeighting`, `clipNorm`, `microBatch`,
/// `optimizer`. Both models are trained with one Adam at the step's rate. Throws CONFIG_INVALID, and as startSerac() does.
std::shared_ptr<Editor> makeSerac(const Json& json, std::shared_ptr<const Model> base);

}  // namespace seprog
