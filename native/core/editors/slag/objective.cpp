#include "objective.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "../../instrument/memory_role.h"
#include "../../ops/masked_kl/masked_kl.h"
#include "../../train/leaf_gradients.h"
#include "../../train/losses.h"
#include "../../train/token_kl.h"

namespace seprog {
namespace {

void append(TokenRows& rows, const TokenRows& more) {
  if (!rows.types.empty() || !more.types.empty()) {
    rows.types.resize(rows.ids.size());
    rows.types.insert(rows.types.end(), more.types.begin(), more.types.end());
    rows.types.resize(rows.ids.size() + more.ids.size());
  }
  rows.ids.insert(rows.ids.end(), more.ids.begin(), more.ids.end());
  rows.lengths.insert(rows.lengths.end(), more.lengths.begin(), more.lengths.end());
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

double sumOf(const at::Tensor& values) { return values.to(at::kDouble).sum().item<double>(); }

void addScaled(const Gradients& gradients, double weight, Gradients& sums) {
  for (const auto& [name, gradient] : gradients) {
    at::Tensor& sum = sums[name];
    const RoleScope role(MemoryRole::Gradients);
    sum = sum.defined() ? sum.add_(gradient, weight) : gradient * weight;
  }
}

}  // namespace

EditObjective::EditObjective(const SlagSpec& spec, const Model& before, EditRows rows, JobContext& context)
    : edit_(std::move(rows.edit)),
      weights_(termWeights(spec, !rows.inScope.target.ids.empty(), !rows.others.target.ids.empty())),
      headBefore_(before.architecture->head(before.weights)) {
  at::NoGradGuard noGrad;
  const Architecture& family = *before.architecture;
  if (!spec.klMaskPads && family.answerKind() != AnswerKind::Label) {
    const std::vector<int32_t>& lengths = edit_.target.lengths;
    rows.others.target = padded(rows.others.target, *std::max_element(lengths.begin(), lengths.end()),
                                static_cast<int32_t>(family.padId()));
  }
  PairRows all;
  if (weights_.paraphrase > 0) {
    all = rows.inScope;
    perWanted_ = 1.0 / static_cast<double>(rows.inScope.target.ids.size());
  }
  const int64_t wantedRows = all.rows();
  if (weights_.kl > 0) {
    append(all.source, rows.others.source);
    append(all.target, rows.others.target);
    perKept_ = 1.0 / static_cast<double>(rows.others.rows());
  }
  for (int64_t first = 0; first < all.rows(); first += spec.microBatch) {
    context.checkCancelled();
    const int64_t count = std::min(spec.microBatch, all.rows() - first);
    const TokenRows target = slice(all.target, first, count);
    Chunk chunk;
    chunk.source = pad(slice(all.source, first, count), family.padId(), family.vocabulary(), before.device);
    chunk.targets = targetsFor(family, target, before.device);
    const int64_t wanted = std::clamp<int64_t>(wantedRows - first, 0, count);
    chunk.wantedTokens = std::accumulate(target.lengths.begin(), target.lengths.begin() + wanted, int64_t{0});
    if (wanted < count) {
      const at::Tensor states_ND = statesOf(before, chunk);
      chunk.before_ND = states_ND.narrow(0, chunk.wantedTokens, states_ND.size(0) - chunk.wantedTokens);
    }
    chunks_.push_back(std::move(chunk));
  }
}

at::Tensor EditObjective::statesOf(const Model& model, const Chunk& chunk) const {
  const Architecture& family = *model.architecture;
  return family.targetStates(model.weights, family.encodeForAnswers(model.weights, chunk.source),
                             chunk.targets, {});
}

EditObjective::Value EditObjective::at(const Model& after, const TensorTable& leaves, const EditLoss& ofEdit,
                                       bool withGradients, JobContext& context) const {
  Value value;
  value.terms.main = ofEdit.loss;
  const Head head = after.architecture->head(after.weights);
  at::AutoGradMode graph(withGradients);
  for (const Chunk& chunk : chunks_) {
    context.checkCancelled();
    const at::Tensor states_ND = statesOf(after, chunk);
    const int64_t wanted = chunk.wantedTokens, kept = states_ND.size(0) - wanted;
    std::vector<at::Tensor> gradients;
    if (wanted > 0) {
      const at::Tensor weight_N = at::full({wanted}, weights_.paraphrase * perWanted_, states_ND.options());
      const TokenLossGradients token = tokenNllGradients(
          states_ND.narrow(0, 0, wanted), head, chunk.targets.labels_N.narrow(0, 0, wanted), weight_N, false);
      value.terms.paraphrase -= sumOf(token.losses.logProb_N) * perWanted_;
      gradients.push_back(token.h_ND);
    }
    if (kept > 0) {
      const at::Tensor weight_N = at::full({kept}, weights_.kl * perKept_, states_ND.options());
      const TokenKlGradients token = tokenKlGradients(
          chunk.before_ND, headBefore_, states_ND.narrow(0, wanted, kept), head, weight_N, false);
      value.terms.kl += sumOf(token.kl_N) * perKept_;
      gradients.push_back(token.gradients.h_ND);
    }
    if (!withGradients) continue;
    StateGradients ofStates;
    ofStates.h_ND = at::cat(gradients, 0);
    addLeafGradients(leaves, states_ND, head, ofStates, value.gradients);
  }
  if (withGradients) addScaled(ofEdit.gradients, weights_.main, value.gradients);
  value.terms.total = weights_.main * value.terms.main + weights_.paraphrase * value.terms.paraphrase +
                      weights_.kl * value.terms.kl;
  return value;
}

at::Tensor EditObjective::graph(const Model& after) const {
  const Architecture& family = *after.architecture;
  const Head head = family.head(after.weights);
  const auto nll = [&](const at::Tensor& states_ND, const at::Tensor& labels_N) {
    const at::Tensor logProb_NV = at::log_softmax(applyHead(head, states_ND), 1);
    return logProb_NV.gather(1, labels_N.unsqueeze(1)).neg().sum();
  };
  Chunk edit;
  edit.source = pad(edit_.source, family.padId(), family.vocabulary(), after.device);
  edit.targets = targetsFor(family, edit_.target, after.device);
  at::Tensor total = nll(statesOf(after, edit), edit.targets.labels_N) *
                     (weights_.main / static_cast<double>(edit_.target.ids.size()));
  for (const Chunk& chunk : chunks_) {
    const at::Tensor states_ND = statesOf(after, chunk);
    const int64_t wanted = chunk.wantedTokens, kept = states_ND.size(0) - wanted;
    if (wanted > 0) {
      total = total + nll(states_ND.narrow(0, 0, wanted), chunk.targets.labels_N.narrow(0, 0, wanted)) *
                          (weights_.paraphrase * perWanted_);
    }
    if (kept > 0) {
      const at::Tensor kl_N = maskedKl(applyHead(headBefore_, chunk.before_ND),
                                       applyHead(head, states_ND.narrow(0, wanted, kept)));
      total = total + kl_N.sum() * (weights_.kl * perKept_);
    }
  }
  return total;
}

}  // namespace seprog
