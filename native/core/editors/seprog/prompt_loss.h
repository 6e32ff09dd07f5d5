// L_pg of prompts before the targets of the in-scope rows (seprog.md section 4), in groups of rows.
// B in-scope rows, P prompt rows (p), D embedding width (d), X distinct source rows of S columns.
#pragma once

#include <ATen/core/Tensor.h>

#include "../../train/optimizer.h"
#include "episodes.h"
#include "seprog_spec.h"

namespace seprog {

struct PromptLoss {
  double loss = 0;          // L_pg
  double rowAccuracy = 0;   // share of rows whose target tokens are all arg-max
  at::Tensor gradient_BPD;  // w·dL_pg/dpr with w = spec.promptWeight(); undefined without gradients
  /// Of w·L_pg where base weights are leaves: for them, by their own names, and for the encoder's states
  /// [X, S, width] (undefined when no answer reads them).
  Gradients base;
  at::Tensor gradient_XSD;
};

/// `base` answers, its encoding `x` of episodes.x being detached; `leaves` are those of its weights that are
/// trained. The gradient reaches modules and encoder through the prompts and the states alone, so the decoder runs
/// forward and backward over groups of rows: its activations never exist for all rows at once. Cancellation
/// is checked between groups.
PromptLoss promptLoss(const Model& base, const SeprogSpec& spec, const Encoded& x, const Episodes& episodes,
                      const at::Tensor& pr_BPD, const TensorTable& leaves, bool withGradients,
                      JobContext& context);

}  // namespace seprog
