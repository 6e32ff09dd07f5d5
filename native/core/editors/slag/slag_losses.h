// The training losses of SLAG over episodes, and their gradient for the hypernetwork.
#pragma once

#include "../editor.h"
#include "hypernetwork.h"

namespace seprog {

struct SlagLosses {
  /// loss, summed over the executed steps; editLoss, paraphraseLoss and klLoss behind the last of them; innerSteps;
  /// rowAccuracy, the share of edits that are right then. All are means over the edits of all episodes.
  Figures figures;
  Gradients gradients;  // empty without gradients
};

/// The edits of an episode pass in order in runs of min(K, sequentialTrain), each edit on top of those before it in
/// its run (slag.md section 4). Each weighs 1/(n·K). With gradients the parameters of `network` are leaves. Throws
/// DATA_INVALID and NON_FINITE.
SlagLosses slagLosses(const Model& base, const Hypernetwork& network, const EpisodeBatch& batch,
                      bool withGradients, JobContext& context);

/// Rows of the objective of edit `index` of `batch`: its own in-scope row and `otherRows` out-of-scope rows of its
/// episode, from its own on and round the episode.
std::vector<int64_t> otherRowsOf(int64_t index, int64_t editsPerEpisode, int64_t otherRows);

}  // namespace seprog
