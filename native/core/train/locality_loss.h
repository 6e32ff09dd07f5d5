// L_loc: how far an edited model has moved from a reference on inputs no edit is about (metrics.md section 6).
#pragma once

#include "../engine/job.h"
#include "../models/model.h"
#include "optimizer.h"

namespace seprog {

struct LocalityLoss {
  double loss = 0;      // KL(reference ‖ edited), mean over all target tokens
  Gradients gradients;  // for the leaves; empty without gradients
};

/// `leaves` are the weights of `edited` to differentiate for; `reference` is a constant. A class label is one
/// token. The rows pass in chunks, each weighing its share of the tokens. Cancellation is checked between
/// chunks. Throws DATA_INVALID for rows without a target token.
LocalityLoss localityLoss(const Model& reference, const Model& edited, const TensorTable& leaves,
                          const PairRows& rows, bool withGradients, JobContext& context,
                          int64_t chunkRows = 16);

}  // namespace seprog
