// The two losses of SEPROG on packed episodes and their gradients for the trained modules (seprog.md sections
// 4 and 5).
#pragma once

#include <ATen/core/Tensor.h>

#include "../../train/optimizer.h"
#include "../editor.h"
#include "episodes.h"
#include "seprog_modules.h"

namespace seprog {

struct EpisodeLosses {
  /// loss, promptLoss, rowAccuracy; with a classifier scopeLoss, scopeAccuracyIn, scopeAccuracyOut; with
  /// attention selectAccuracy.
  Figures figures;
  Gradients gradients;  // of the total loss, by parameter name; empty without gradients
};

/// L = λ L_sc + (1−λ) L_pg, or L_pg alone without a classifier. With several groupings L_sc is their mean and
/// in-scope row i is prompted from the (i mod groupings)-th; the accuracies are those of the batch's own
/// grouping. Gradients for a base that is tuned with the modules come through its encoder (b(x) and the states
/// that answers read) and through the prompted answers. Changes nothing; throws NON_FINITE naming the loss that
/// is not a number.
EpisodeLosses episodeLosses(const Model& base, const SeprogModules& modules, const Episodes& episodes,
                            bool withGradients, JobContext& context);

}  // namespace seprog
