#include "objective.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>

#include <algorithm>
#include <utility>

#include "../../train/leaf_gradients.h"
#include "../../train/token_kl.h"

namespace seprog {
namespace {

PairRows slicePairs(const PairRows& rows, int64_t first, int64_t count) {
  return {slice(rows.source, first, count), slice(rows.target, first, count)};
}

/// Every target as long as the longest of `columns` and its own rows, the pad id behind its end.
TokenRows padded(const TokenRows& target, int32_t columns, int32_t padId) {
  for (const int32_t length : target.lengths) columns = std::max(columns, length);
  TokenRows out;
  auto next = target.ids.begin();
  for (const int32_t length : target.lengths) {
    out.ids.insert(out.ids.end(), next, next + length);
    out.ids.insert(out.ids.end(), columns - length, padId);
    out.lengths.push_back(columns);
    next += length;
  }
  return out;
}

void addScaled(const Gradients& gradients, double weight, Gradients& sums) {
  for (const auto& [name, gradient] : gradients) {
    at::Tensor& sum = sums[name];
    sum = sum.defined() ? sum.add_(gradient, weight) : gradient * weight;
  }
}

}  // namespace

EditObjective::EditObjective(const SlagSpec& spec, const Model& before, EditRows rows, JobContext& context)
    : rows_(std::move(rows)),
      weights_(termWeights(spec, !rows_.inScope.target.ids.empty(), !rows_.others.target.ids.empty())),
      microBatch_(spec.microBatch),
      headBefore_(before.architecture->head(before.weights)) {
  if (weights_.kl == 0) return;
  at::NoGradGuard noGrad;
  const Architecture& family = *before.architecture;
  if (!spec.klMaskPads && family.answerKind() != AnswerKind::Label) {
    const TokenRows& edit = rows_.edit.target;
    rows_.others.target =
        padded(rows_.others.target, *std::max_element(edit.lengths.begin(), edit.lengths.end()),
               static_cast<int32_t>(family.padId()));
  }
  for (int64_t first = 0; first < rows_.others.rows(); first += microBatch_) {
    context.checkCancelled();
    const PairRows part = slicePairs(rows_.others, first, std::min(microBatch_, rows_.others.rows() - first));
    OtherRows chunk;
    chunk.source = pad(part.source, family.padId(), family.vocabulary(), before.device);
    chunk.targets = targetsFor(family, part.target, before.device);
    chunk.before_ND = statesOf(before, chunk.source, chunk.targets);
    others_.push_back(std::move(chunk));
  }
}

at::Tensor EditObjective::statesOf(const Model& model, const TokenBatch& source,
                                   const Targets& targets) const {
  const Architecture& family = *model.architecture;
  return family.targetStates(model.weights, family.encodeForAnswers(model.weights, source), targets, {});
}

EditObjective::OtherLoss EditObjective::klOf(const Model& after, const TensorTable& leaves,
                                             bool withGradients, JobContext& context) const {
  const double perToken = 1.0 / static_cast<double>(rows_.others.rows());
  const Head head = after.architecture->head(after.weights);
  at::AutoGradMode graph(withGradients);
  OtherLoss result;
  for (const OtherRows& chunk : others_) {
    context.checkCancelled();
    const at::Tensor after_ND = statesOf(after, chunk.source, chunk.targets);
    at::Tensor kl_N;
    if (withGradients) {
      const at::Tensor weight_N = at::full({after_ND.size(0)}, perToken, after_ND.options());
      TokenKlGradients token =
          tokenKlGradients(chunk.before_ND, headBefore_, after_ND, head, weight_N, isTrained(head));
      addLeafGradients(leaves, after_ND, head, token.gradients, result.gradients);
      kl_N = std::move(token.kl_N);
    } else {
      kl_N = tokenKl(chunk.before_ND, headBefore_, after_ND, head);
    }
    result.loss += kl_N.to(at::kDouble).sum().item<double>() * perToken;
  }
  return result;
}

EditObjective::Value EditObjective::at(const Model& after, const TensorTable& leaves, const EditLoss& ofEdit,
                                       bool withGradients, JobContext& context) const {
  Value value;
  value.terms.main = ofEdit.loss;
  if (withGradients) addScaled(ofEdit.gradients, weights_.main, value.gradients);
  if (weights_.paraphrase > 0) {
    const EditLoss inScope = editLoss(after, leaves, rows_.inScope, {}, withGradients, context, microBatch_);
    value.terms.paraphrase = inScope.loss;
    addScaled(inScope.gradients, weights_.paraphrase, value.gradients);
  }
  if (weights_.kl > 0) {
    const OtherLoss others = klOf(after, leaves, withGradients, context);
    value.terms.kl = others.loss;
    addScaled(others.gradients, weights_.kl, value.gradients);
  }
  value.terms.total = weights_.main * value.terms.main + weights_.paraphrase * value.terms.paraphrase +
                      weights_.kl * value.terms.kl;
  return value;
}

at::Tensor EditObjective::graph(const Model& after) const {
  const Architecture& family = *after.architecture;
  const auto nll = [&](const PairRows& rows) {
    const TokenBatch source = pad(rows.source, family.padId(), family.vocabulary(), after.device);
    const Targets targets = targetsFor(family, rows.target, after.device);
    const at::Tensor logits_NV = applyHead(family.head(after.weights), statesOf(after, source, targets));
    return at::log_softmax(logits_NV, 1).gather(1, targets.labels_N.unsqueeze(1)).mean().neg();
  };
  at::Tensor total = nll(rows_.edit) * weights_.main;
  if (weights_.paraphrase > 0) total = total + nll(rows_.inScope) * weights_.paraphrase;
  for (const OtherRows& chunk : others_) {
    const at::Tensor p = at::log_softmax(applyHead(headBefore_, chunk.before_ND), 1);
    const at::Tensor after_ND = statesOf(after, chunk.source, chunk.targets);
    const at::Tensor q = at::log_softmax(applyHead(family.head(after.weights), after_ND), 1);
    total = total + (p.exp() * (p - q)).sum() * (weights_.kl / static_cast<double>(rows_.others.rows()));
  }
  return total;
}

}  // namespace seprog
