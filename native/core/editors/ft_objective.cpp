#include "ft_objective.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "../error.h"
#include "../train/locality_loss.h"
#include "../train/locality_rows.h"

namespace seprog {
namespace {

/// gradients ← a · gradients + b · more.
void combine(Gradients& gradients, double a, const Gradients& more, double b) {
  at::NoGradGuard noGrad;
  for (auto& [name, gradient] : gradients) gradient.mul_(a);
  for (const auto& [name, gradient] : more) {
    at::Tensor& sum = gradients[name];
    sum = sum.defined() ? sum.add_(gradient, b) : gradient * b;
  }
}

}  // namespace

PairRows keptRows(FtObjective objective, const PairRows& outScope, int64_t step, int64_t edits) {
  if (objective == FtObjective::Edit) return {};
  if (outScope.target.ids.empty()) {
    fail(ErrorCode::DataInvalid,
         "expected out-of-scope rows for `outScope` but received none; the objectives \"kl\" and \"total\" "
         "keep "
         "the answers to them");
  }
  const bool one = objective == FtObjective::Kl;
  const int64_t first = one ? step % outScope.rows() : 0;
  const int64_t count = one ? 1 : std::min(edits, outScope.rows());
  return {slice(outScope.source, first, count), slice(outScope.target, first, count)};
}

FtLoss ftLoss(const FtWeights& weights, const Model& original, const Model& edited, const TensorTable& leaves,
              const PairRows& edits, const PairRows& kept, bool withGradients, int64_t microBatch,
              JobContext& context) {
  FtLoss loss;
  loss.edit = editLoss(edited, leaves, edits, {}, withGradients, context, microBatch);
  loss.total = loss.edit.loss;
  if (weights.objective == FtObjective::Edit || !withGradients || loss.edit.rowAccuracy == 1.0) return loss;
  const LocalityLoss locality = localityLoss(
      original, edited, leaves, localityRows(*original.architecture, kept), true, context, microBatch);
  const bool total = weights.objective == FtObjective::Total;
  const double ofEdits = total ? 1.0 - weights.lambda : weights.editWeight;
  const double ofLocality = total ? weights.lambda : 1.0;
  combine(loss.edit.gradients, ofEdits, locality.gradients, ofLocality);
  loss.locality = locality.loss;
  loss.total = ofLocality * locality.loss + ofEdits * loss.edit.loss;
  return loss;
}

}  // namespace seprog
