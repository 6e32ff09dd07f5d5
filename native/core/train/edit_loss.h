// L_edit: the token-mean NLL of edits under a model some of whose weights are leaves (ft.md sections 2 and 4).
#pragma once

#include <functional>

#include "../engine/job.h"
#include "../models/model.h"
#include "optimizer.h"

namespace seprog {

struct EditLoss {
  double loss = 0;
  double rowAccuracy = 0;  // share of edits whose target tokens are all arg-max
  Gradients gradients;     // for the leaves; empty without gradients
};

/// The prompt behind which rows of an encoding are answered; may depend on the leaves.
using PromptOf = std::function<Prompt(const Encoded&)>;

/// `leaves` are the weights of `model` to differentiate for. All edits are one batch and one loss; it passes in
/// chunks of rows, each weighing its share of the tokens, so that its activations never exist for all edits at
/// once. Cancellation is checked between chunks. Throws DATA_INVALID for edits without a target token.
EditLoss editLoss(const Model& model, const TensorTable& leaves, const PairRows& edits,
                  const PromptOf& promptOf, bool withGradients, JobContext& context, int64_t chunkRows = 16);

}  // namespace seprog
