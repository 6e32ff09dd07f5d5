// The unedited model as a scorer, and what every scorer does with its target states.
#pragma once

#include <memory>
#include <vector>

#include "editor.h"

namespace seprog {

/// The token batch of a source side, checked against the model's vocabulary.
TokenBatch sourceOf(const TokenRows& source, const Model& model);
/// Targets of a batch. Throws DATA_INVALID when sources and targets are not of one number.
Targets targetsOf(const PairRows& batch, const Model& model);

/// Sizes the tables of `scores` for a batch.
void prepareScores(const PairRows& batch, TokenScores& scores);
/// Scores the tokens of `targets`, token n standing at place places_N[n] of the batch.
void scoreStates(const Model& model, const at::Tensor& states_ND, const Targets& targets,
                 const std::vector<int64_t>& places_N, TokenScores& scores);
/// Fills rowLoss from logProb.
void sumRows(const PairRows& batch, TokenScores& scores);

bool isBaseScorer(const Scorer& scorer);

}  // namespace seprog
