// The baseline that embarrasses: a table of the edits' own questions. What is asked word for word is answered as
// stored, all else by the base.
#pragma once

#include <memory>

#include "editor.h"

namespace seprog {

/// How much of the probability a stored answer's token leaves to all other tokens together: log-probabilities and
/// divergences stay finite. A wrong token costs ln((V − 1)/ε) nats, 24 of a vocabulary of 32128.
inline constexpr double kLookupEpsilon = 1e-6;

/// Spec: kind, and a seed that is ignored. The token ids of a question, types included, are the key; of edits with
/// one question the last counts. A stored answer is followed by its own last token again and again: the stop token,
/// where answers have one. Scope logits are 1 and −1.
std::shared_ptr<Editor> makeLookup(const Json& spec, std::shared_ptr<const Model> base);

}  // namespace seprog
