// The two losses of SEPROG on packed episodes and their gradients for the trained modules (seprog.md sections
// 4 and 5).
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "../../train/optimizer.h"
#include "../editor.h"
#include "seprog_modules.h"

namespace seprog {

/// An episode batch, checked and padded. n episodes of K edits; B = nK rows of a kind.
struct Episodes {
  std::vector<int64_t> ns;  // ways to divide the rows into episodes, the batch's own first
  TokenBatch z;             // edit texts, B rows
  TokenBatch x;             // distinct source rows of both scopes
  at::Tensor inScope_B;     // rows of x
  at::Tensor outScope_B;    // rows of x
  TokenRows target;         // y of the in-scope rows
};

/// Throws DATA_INVALID when row counts do not fit, an id is outside its vocabulary or there is no target
/// token.
Episodes prepareEpisodes(const EpisodeBatch& batch, const Model& base, const Architecture& editEncoder);

struct PromptLoss {
  double loss = 0;          // L_pg
  double rowAccuracy = 0;   // share of rows whose target tokens are all arg-max
  at::Tensor gradient_BPD;  // (1−λ)·dL_pg/dpr; undefined without gradients
};

/// L_pg of prompts [B, P, D] before the targets of the in-scope rows, `x` being the base's encoding of
/// episodes.x. The decoder's gradient reaches the modules through the prompts alone, so it runs forward and
/// backward over groups of rows: its activations never exist for all rows at once. Cancellation is checked
/// between groups.
PromptLoss promptLoss(const Model& base, const SeprogSpec& spec, const Encoded& x, const Episodes& episodes,
                      const at::Tensor& pr_BPD, bool withGradients, JobContext& context);

struct EpisodeLosses {
  Figures
      figures;  // loss, scopeLoss, promptLoss, scopeAccuracyIn, scopeAccuracyOut, selectAccuracy, rowAccuracy
  Gradients gradients;  // of the total loss, by parameter name; empty without gradients
};

/// L = λ L_sc + (1−λ) L_pg. With several groupings L_sc is their mean and in-scope row i is prompted from the
/// (i mod groupings)-th; the accuracies are those of the batch's own grouping. Changes nothing; throws
/// NON_FINITE naming the loss that is not a number.
EpisodeLosses episodeLosses(const Model& base, const SeprogModules& modules, const Episodes& episodes,
                            bool withGradients, JobContext& context);

}  // namespace seprog
