// The losses of MEND on an episode of K edits and their gradients for the networks and the learning rates (mend.md
// section 5).
#pragma once

#include <string>
#include <vector>

#include "../../engine/job.h"
#include "../../train/optimizer.h"
#include "../editor.h"
#include "edit_update.h"
#include "mend_modules.h"

namespace seprog {

/// K edits, their in-scope rows and rows that no edit is about.
struct EpisodeRows {
  PairRows edits;
  PairRows inScope;
  PairRows outScope;
};

/// Throws DATA_INVALID unless `pairs` are that many rows whose lengths add up.
void demandRows(const PairRows& pairs, int64_t rows, const std::string& name);

/// The episodes of a batch. Throws DATA_INVALID when row counts do not fit.
std::vector<EpisodeRows> episodesOf(const EpisodeBatch& batch);

/// Edited weights W − α∇̃W by name; `pseudo` by name.
TensorTable editedWeights(const MendModules& modules, const Weights& current, const TensorTable& pseudo);

/// A training episode: `statistics` learn from the edits first. Adds `share` times the gradients of the loss to `sums`,
/// which has an entry for each parameter. Figures: loss = cEdit · editLoss + cLoc · localityLoss; editLoss and
/// rowAccuracy of the in-scope rows behind the edit; localityLoss; innerLoss of the edits in front of it. Throws
/// NON_FINITE naming the loss.
Figures trainingLosses(const Model& base, const MendModules& modules, const EpisodeRows& episode,
                       double share, Statistics& statistics, Gradients& sums, JobContext& context);
/// The same figures with statistics as they are.
Figures validationLosses(const Model& base, const MendModules& modules, const EpisodeRows& episode,
                         const Statistics& statistics, JobContext& context);

}  // namespace seprog
