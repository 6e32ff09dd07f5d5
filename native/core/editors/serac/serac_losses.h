// The losses of a training step (serac.md section 4): L = c_e L_cntr + c_loc L_cls. n episodes of K edits, B = nK.
#pragma once

#include "../../train/optimizer.h"
#include "../editor.h"
#include "serac_models.h"

namespace seprog {

/// loss, counterfactualLoss, scopeLoss, rowAccuracy (all target tokens of an in-scope row arg-max, behind its own edit),
/// scopeAccuracyIn and scopeAccuracyOut (of an input and the edit it is compared with).
struct SeracLosses {
  Figures figures;
  Gradients gradients;  // by the names of SeracModels::parameters(); empty without gradients
};

/// The counterfactual model reads the edit that an in-scope row belongs to, never the one that would be retrieved: its
/// loss is the mean over the target tokens of all episodes. Positives of the scope loss are these rows with their edits,
/// negatives the out-of-scope rows with the edits of the same place, or with all edits of their episode. Gradients are
/// for `models`, whose weights are leaves then. Rows pass in chunks of `microBatch`, whatever K is, to the same sums.
/// Throws DATA_INVALID for a batch whose rows do not fit together or that lacks the prefixes of its edits; NON_FINITE
/// naming the loss.
SeracLosses seracLosses(const SeracModels& models, const SeracSpec& spec, const EpisodeBatch& batch,
                        bool withGradients, JobContext& context);

/// The input rows as a model reads them: its own view, or the base's ids where there is none.
inline const TokenRows& viewOr(const TokenRows& view, const TokenRows& source) {
  return view.rows() > 0 ? view : source;
}

}  // namespace seprog
