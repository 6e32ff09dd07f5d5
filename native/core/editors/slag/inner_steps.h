// One edit by the learned optimiser: k steps, fewer when the edit is right before (slag.md section 3).
#pragma once

#include <functional>

#include "../../engine/job.h"
#include "../../train/edit_loss.h"
#include "hypernetwork.h"

namespace seprog {

/// What one step did: Δ for ∇, and where it led.
struct InnerStep {
  const Gradients& gradients;  // ∇ at the weights before the step; a matrix without an entry had none
  const TensorTable& updates;  // Δ
  const Model& after;
  const TensorTable& leaves;  // its edited weights, W + acc
  const EditLoss& edit;       // at them, with gradients
};

struct InnerSteps {
  int64_t steps = 0;   // executed
  bool right = false;  // every token of the edit is arg-max behind the last of them
  double loss = 0;     // token-mean NLL of the edit behind the last of them
};

/// Adds the updates of `edit` to `accumulated`, the running update by weight name; one without an entry is 0. The
/// gradients are constants: first-order. Cancellation is checked between steps. `watch` may be empty. Throws
/// NON_FINITE, and DATA_INVALID for an edit without a target token.
InnerSteps takeInnerSteps(const Model& base, const UpdateRules& rules, const PairRows& edit, int64_t most,
                          int64_t microBatch, TensorTable& accumulated,
                          const std::function<void(const InnerStep&)>& watch, JobContext& context);

/// The base with `accumulated` on top; its edited weights are leaves iff `tracked`.
struct EditedModel {
  TensorTable weights;
  Model model;
};
EditedModel editedModel(const Model& base, const std::vector<std::string>& names,
                        const TensorTable& accumulated, bool tracked);

}  // namespace seprog
