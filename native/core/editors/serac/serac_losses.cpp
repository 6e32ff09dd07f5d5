// N pairs of an edit and an input, R rows of a chunk, D width of the classifier; else as in serac_losses.h.
#include "serac_losses.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "../../error.h"
#include "../../instrument/memory_role.h"
#include "../../train/backward.h"
#include "../../train/edit_loss.h"
#include "../../train/losses.h"
#include "scope_classifier.h"

namespace seprog {
namespace {

/// What the scope loss compares. `rows` number the inputs, in-scope rows first, then the out-of-scope ones.
struct Pairs {
  std::vector<int64_t> edits, rows;
  std::vector<bool> positive;
  std::vector<double> weight;  // of the pair's term in the loss
  int64_t size() const { return static_cast<int64_t>(edits.size()); }

  void add(int64_t edit, int64_t row, bool inScope, double termWeight) {
    edits.push_back(edit);
    rows.push_back(row);
    positive.push_back(inScope);
    weight.push_back(termWeight);
  }
};

Pairs pairsOf(const EpisodeBatch& batch, bool useAllNegatives) {
  const int64_t B = batch.editText.rows();
  const int64_t K = B / batch.episodes;
  Pairs pairs;
  const double perPositive = 1.0 / static_cast<double>(B);
  for (int64_t k = 0; k < B; ++k) pairs.add(k, k, true, perPositive);
  const double perNegative = perPositive / static_cast<double>(useAllNegatives ? K : 1);
  for (int64_t row = 0; row < B; ++row) {
    const int64_t first = useAllNegatives ? row / K * K : row;
    const int64_t count = useAllNegatives ? K : 1;
    for (int64_t edit = first; edit < first + count; ++edit) pairs.add(edit, B + row, false, perNegative);
  }
  return pairs;
}

TokenRows joined(TokenRows above, const TokenRows& below) {
  above.ids.insert(above.ids.end(), below.ids.begin(), below.ids.end());
  above.lengths.insert(above.lengths.end(), below.lengths.begin(), below.lengths.end());
  return above;
}

std::vector<int64_t> part(const std::vector<int64_t>& values, int64_t first, int64_t count) {
  return {values.begin() + first, values.begin() + first + count};
}

/// Sums up the balanced cross-entropy, pair by pair (serac.md section 4).
class ScopeLoss {
 public:
  ScopeLoss(const Pairs& pairs, double threshold)
      : pairs_(pairs), logThreshold_(static_cast<float>(std::log(threshold))) {}

  /// The terms of the pairs from `first` on, weighed: a scalar.
  at::Tensor add(const at::Tensor& logS_N, int64_t first) {
    const int64_t count = logS_N.size(0);
    std::vector<uint8_t> positive;
    for (int64_t n = first; n < first + count; ++n) positive.push_back(pairs_.positive[n] ? 1 : 0);
    const at::Tensor positive_N = at::tensor(positive, at::kByte).to(logS_N.device(), at::kBool);
    const std::vector<double> weights(pairs_.weight.begin() + first, pairs_.weight.begin() + first + count);
    const at::Tensor weight_N = at::tensor(weights, at::kDouble).to(logS_N.options().requires_grad(false));
    const at::Tensor term_N = at::where(positive_N, logS_N, logComplement(logS_N)).neg();
    const at::Tensor loss = (term_N * weight_N).sum();
    loss_ += loss.item<double>();
    const at::Tensor above_N = logS_N.detach().gt(logThreshold_);
    rightIn_ += above_N.logical_and(positive_N).sum().item<int64_t>();
    rightOut_ += above_N.logical_or(positive_N).logical_not().sum().item<int64_t>();
    return loss;
  }

  double loss() const { return loss_; }
  double accuracyIn() const { return static_cast<double>(rightIn_) / count(true); }
  double accuracyOut() const { return static_cast<double>(rightOut_) / count(false); }

 private:
  double count(bool positive) const {
    return static_cast<double>(std::count(pairs_.positive.begin(), pairs_.positive.end(), positive));
  }

  const Pairs& pairs_;
  float logThreshold_;
  double loss_ = 0;
  int64_t rightIn_ = 0;
  int64_t rightOut_ = 0;
};

/// Gradients for the weights of one model, summed over chunks.
class LeafSums {
 public:
  explicit LeafSums(const Weights& weights) {
    for (auto& [name, leaf] : weights.flatten()) {
      names_.push_back(name);
      leaves_.push_back(leaf);
    }
  }

  void add(const at::Tensor& output, const at::Tensor& gradient) {
    const auto gradients = gradientsFor({output}, leaves_, {gradient});
    const RoleScope role(MemoryRole::Gradients);
    for (size_t i = 0; i < names_.size(); ++i) {
      if (!gradients[i].defined()) continue;
      at::Tensor& sum = sums_[names_[i]];
      sum = sum.defined() ? sum.add_(gradients[i]) : gradients[i].clone(at::MemoryFormat::Contiguous);
    }
  }
  Gradients take() { return std::move(sums_); }

 private:
  std::vector<std::string> names_;
  std::vector<at::Tensor> leaves_;
  Gradients sums_;
};

/// Pairs read as one text: each is a pass of its own, so that chunks of them are exact.
Gradients crossAttentionLoss(const Model& classifier, const TokenRows& editText, const TokenRows& inputs,
                             const Pairs& pairs, int64_t chunkRows, bool withGradients, ScopeLoss& sum,
                             JobContext& context) {
  const at::AutoGradMode graph(withGradients);
  LeafSums gradients(classifier.weights);
  for (int64_t first = 0; first < pairs.size(); first += chunkRows) {
    context.checkCancelled();
    const int64_t count = std::min(chunkRows, pairs.size() - first);
    const TokenRows texts =
        pairTexts(editText, part(pairs.edits, first, count), inputs, part(pairs.rows, first, count));
    const at::Tensor loss = sum.add(pairLogSimilarity(classifier, texts), first);
    if (withGradients) gradients.add(loss, {});
  }
  return gradients.take();
}

/// Texts encoded by themselves. Stage 1 embeds all of them without a graph and takes the loss back to the embeddings;
/// stage 2 embeds chunk by chunk again and takes these gradients on to the weights: an edit may be in many pairs, and no
/// graph is larger than a chunk's.
Gradients embeddingLoss(const Model& classifier, const TokenRows& editText, const TokenRows& inputs,
                        const Pairs& pairs, int64_t chunkRows, bool withGradients, ScopeLoss& sum,
                        JobContext& context) {
  const TokenRows texts = joined(editText, inputs);
  at::Tensor v_RD = embedTexts(classifier, texts, chunkRows, context);
  const at::AutoGradMode graph(withGradients);
  v_RD.set_requires_grad(withGradients);
  const auto rowsOf = [&](const std::vector<int64_t>& numbers, int64_t offset) {
    return v_RD.index_select(0, at::tensor(numbers, at::kLong).to(v_RD.device()) + offset);
  };
  const at::Tensor loss =
      sum.add(logSimilarity(rowsOf(pairs.rows, editText.rows()), rowsOf(pairs.edits, 0)), 0);
  if (!withGradients) return {};
  const at::Tensor gradient_RD = gradientsFor({loss}, {v_RD}, {}, {.allowUnused = false}).front();
  LeafSums gradients(classifier.weights);
  for (int64_t first = 0; first < texts.rows(); first += chunkRows) {
    context.checkCancelled();
    const int64_t count = std::min(chunkRows, texts.rows() - first);
    gradients.add(embedRows(classifier, slice(texts, first, count)), gradient_RD.narrow(0, first, count));
  }
  return gradients.take();
}

void checkBatch(const EpisodeBatch& batch) {
  const int64_t rows = batch.editText.rows();
  if (batch.episodes < 1 || rows < batch.episodes || rows % batch.episodes != 0) {
    fail(ErrorCode::DataInvalid, "expected as many edits in each of the " + std::to_string(batch.episodes) +
                                     " episodes for `editText` but received " + std::to_string(rows) +
                                     " rows");
  }
  const auto demandRows = [&](const TokenRows& side, const char* name) {
    if (side.rows() == rows) return;
    fail(ErrorCode::DataInvalid, "expected one row per edit (" + std::to_string(rows) + ") for `" + name +
                                     "` but received " + std::to_string(side.rows()));
  };
  demandRows(batch.editPrefix, "editPrefix");
  demandRows(viewOr(batch.inScopeViews.classifier, batch.inScope.source), "inScope.source");
  demandRows(viewOr(batch.inScopeViews.counterfactual, batch.inScope.source), "inScope.source");
  demandRows(batch.inScope.target, "inScope.target");
  demandRows(viewOr(batch.outScopeViews.classifier, batch.outScope.source), "outScope.source");
}

/// In-scope rows as the counterfactual model reads them: behind their own edits.
PairRows behindOwnEdits(const EpisodeBatch& batch, const Architecture& counterfactual) {
  std::vector<int64_t> all(batch.editPrefix.rows());
  std::iota(all.begin(), all.end(), 0);
  const TokenRows& inputs = viewOr(batch.inScopeViews.counterfactual, batch.inScope.source);
  return {behindEdits(counterfactual, batch.editPrefix, all, inputs, all), batch.inScope.target};
}

void addScaled(std::string_view prefix, Gradients gradients, double scale, Gradients& all) {
  for (auto& [name, gradient] : gradients) all.emplace(std::string(prefix) + name, gradient.mul_(scale));
}

}  // namespace

SeracLosses seracLosses(const SeracModels& models, const SeracSpec& spec, const EpisodeBatch& batch,
                        bool withGradients, JobContext& context) {
  checkBatch(batch);
  SeracLosses result;
  EditLoss counterfactual;
  {
    const auto phase = context.phase("counterfactual");
    counterfactual = editLoss(models.counterfactual, models.counterfactual.weights.flatten(),
                              behindOwnEdits(batch, *models.counterfactual.architecture), {}, withGradients,
                              context, spec.microBatch);
    addScaled(kCounterfactualPrefix, std::move(counterfactual.gradients), spec.counterfactualWeight,
              result.gradients);
  }
  const auto phase = context.phase("scope");
  const Pairs pairs = pairsOf(batch, spec.useAllNegatives);
  ScopeLoss scope(pairs, spec.threshold);
  const TokenRows inputs = joined(viewOr(batch.inScopeViews.classifier, batch.inScope.source),
                                  viewOr(batch.outScopeViews.classifier, batch.outScope.source));
  const auto lossOf = spec.scopeClassifier == ScopeClassifier::Embedding ? embeddingLoss : crossAttentionLoss;
  addScaled(kClassifierPrefix,
            lossOf(models.classifier, batch.editText, inputs, pairs, spec.microBatch, withGradients, scope,
                   context),
            spec.scopeWeight, result.gradients);
  const double loss = spec.counterfactualWeight * counterfactual.loss + spec.scopeWeight * scope.loss();
  result.figures = {{"loss", demandFinite(loss, "loss")},
                    {"counterfactualLoss", demandFinite(counterfactual.loss, "counterfactualLoss")},
                    {"scopeLoss", demandFinite(scope.loss(), "scopeLoss")},
                    {"rowAccuracy", counterfactual.rowAccuracy},
                    {"scopeAccuracyIn", scope.accuracyIn()},
                    {"scopeAccuracyOut", scope.accuracyOut()}};
  return result;
}

}  // namespace seprog
