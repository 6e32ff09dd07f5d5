// The losses of ENN (enn.md section 3): after an inner step on the edits, the edited model θ' is to answer the
// in-scope rows and to agree with the model before the step, θ, on the out-of-scope rows; θ itself is to agree there
// with the model as it was loaded, θ⁰.
#pragma once

#include <ATen/core/Tensor.h>

#include "../editor.h"
#include "enn_spec.h"

namespace seprog {

/// What ENN trains.
struct EnnParameters {
  TensorTable theta;       // all weights of the model
  at::Tensor innerRate_M;  // a, in the order of Architecture::editableWeights()
};

struct EnnLosses {
  /// Means over the episodes: loss = c_e L_e + c_loc L_loc + c_base L_base (without the last term in a validation,
  /// see ennFigures()), editLoss L_e, localityLoss L_loc, baseLoss L_base, innerLoss (of the edits before the step),
  /// rowAccuracy (in-scope rows whose target tokens are all arg-max under θ').
  Figures figures;
  Gradients theta;         // of the loss; a weight that nothing depends on has none
  at::Tensor innerRate_M;  // of the loss
};

/// The inner loop of these options.
InnerLoop innerLoop(const Architecture& family, const EnnSpec& spec, const at::Tensor& innerRate_M);

/// Value and gradient of the loss, the mean over the episodes of the batch and of its regroupings. `original` is θ⁰.
/// Throws DATA_INVALID for row counts that do not fit, NON_FINITE naming the figure.
EnnLosses ennGradients(const Model& original, const EnnParameters& parameters, const EnnSpec& spec,
                       const EpisodeBatch& batch, JobContext& context);

/// The figures without gradients, of the batch's own episodes. "loss" is c_e L_e + c_loc L_loc: how far θ has drifted
/// is no measure of the edits. Two more tell that: preEditDrift, L_base, and preEditChanged, the share of out-of-scope
/// rows with a target token whose arg-max differs between θ⁰ and θ.
Figures ennFigures(const Model& original, const EnnParameters& parameters, const EnnSpec& spec,
                   const EpisodeBatch& batch, JobContext& context);

}  // namespace seprog
