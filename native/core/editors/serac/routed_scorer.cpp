#include "routed_scorer.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "../../error.h"
#include "../../instrument/memory_role.h"
#include "../model_scorer.h"
#include "../row_shares.h"
#include "../seprog/soft_gate.h"
#include "scope_classifier.h"
#include "serac_losses.h"

namespace seprog {
namespace {

TokenRows appended(TokenRows rows, const TokenRows& more) {
  rows.ids.insert(rows.ids.end(), more.ids.begin(), more.ids.end());
  rows.lengths.insert(rows.lengths.end(), more.lengths.begin(), more.lengths.end());
  return rows;
}

double logOdds(double probability) { return std::log(probability) - std::log1p(-probability); }

}  // namespace

StoredEdits StoredEdits::with(const StoredEdits& more) const {
  if (size() == 0) return more;
  StoredEdits both{appended(editText, more.editText), appended(editPrefix, more.editPrefix), embedding_KD};
  const RoleScope role(MemoryRole::EditMemory);
  if (more.embedding_KD.defined()) both.embedding_KD = at::cat({embedding_KD, more.embedding_KD});
  return both;
}

StoredEdits storedEdits(const EditRequests& requests, const SeracModels& models, const SeracSpec& spec,
                        JobContext& context) {
  const int64_t K = requests.editText.rows();
  if (requests.editPrefix.rows() != K) {
    fail(ErrorCode::DataInvalid, "expected one row per edit (" + std::to_string(K) +
                                     ") for `editPrefix` but received " +
                                     std::to_string(requests.editPrefix.rows()));
  }
  StoredEdits stored{requests.editText, requests.editPrefix, {}};
  if (spec.scopeClassifier == ScopeClassifier::Embedding && K > 0) {
    const auto phase = context.phase("edit_encode");
    const at::Tensor embedding_KD =
        embedTexts(models.classifier, requests.editText, spec.microBatch, context);
    const RoleScope role(MemoryRole::EditMemory);
    stored.embedding_KD = embedding_KD.clone();
  }
  return stored;
}

RoutedScorer::RoutedScorer(std::shared_ptr<const Model> base, std::shared_ptr<const SeracModels> models,
                           const SeracSpec& spec, StoredEdits edits, std::string madeBy)
    : base_(std::move(base)),
      models_(std::move(models)),
      spec_(spec),
      edits_(std::move(edits)),
      madeBy_(std::move(madeBy)) {}

at::Tensor RoutedScorer::logSimilarities(const TokenRows& source, const RowViews& views,
                                         JobContext& context) const {
  const auto phase = context.phase("retrieve");
  const at::NoGradGuard noGrad;
  const TokenRows& inputs = viewOr(views.classifier, source);
  const Model& classifier = models_->classifier;
  if (spec_.scopeClassifier == ScopeClassifier::CrossAttention)
    return pairLogSimilarities(classifier, edits_.editText, inputs, spec_.microBatch, context);
  return seprog::logSimilarities(embedTexts(classifier, inputs, spec_.microBatch, context),
                                 edits_.embedding_KD);
}

RoutedScorer::Share RoutedScorer::routed(std::vector<int64_t> rows, const Decision& decision,
                                         const TokenRows& source, const RowViews& views) const {
  std::vector<int64_t> edits;
  for (const int64_t row : rows) edits.push_back(decision.scope.selected[row]);
  TokenRows behind = behindEdits(*models_->counterfactual.architecture, edits_.editPrefix, edits,
                                 viewOr(views.counterfactual, source), rows);
  return {std::move(rows), std::move(behind), {}};
}

RoutedScorer::Decision RoutedScorer::decide(const TokenRows& source, const RowViews& views,
                                            JobContext& context) const {
  const int64_t rows = source.rows();
  std::vector<int64_t> all = allRows(rows);
  Decision decision;
  if (edits_.size() == 0) {
    decision.scope.logit.assign(rows, -std::numeric_limits<float>::infinity());
    decision.scope.selected.assign(rows, -1);
    decision.shares.push_back({std::move(all), {}, {}});
    return decision;
  }
  const at::Tensor logS_BK = logSimilarities(source, views, context).to(at::kCPU).contiguous();
  std::vector<int64_t> plain, inScope;
  std::vector<float> logits;
  for (int64_t b = 0; b < rows; ++b) {
    const float* logS = logS_BK.const_data_ptr<float>() + b * edits_.size();
    const float* best = std::max_element(logS, logS + edits_.size());  // the first of equals
    const double rest = std::max<double>(-std::expm1(*best), std::numeric_limits<float>::epsilon());
    const double logit = *best - std::log(rest);
    logits.push_back(static_cast<float>(logit));
    decision.scope.selected.push_back(static_cast<int32_t>(best - logS));
    decision.scope.logit.push_back(static_cast<float>(logit - logOdds(spec_.threshold)));
    (decision.scope.logit.back() > 0.0F ? inScope : plain).push_back(b);
  }
  if (spec_.softWeighting) {
    Share mixed = routed(std::move(all), decision, source, views);
    mixed.logit_R = at::tensor(logits).to(base_->device);
    decision.shares.push_back(std::move(mixed));
    return decision;
  }
  if (!plain.empty()) decision.shares.push_back({std::move(plain), {}, {}});
  if (!inScope.empty()) decision.shares.push_back(routed(std::move(inScope), decision, source, views));
  return decision;
}

void RoutedScorer::eachShare(const Decision& decision, const TokenRows& source, const RowNotes& notes,
                             JobContext& context, const Answer& answer) const {
  const auto encoded = [&](const Model& model, const TokenBatch& rows) {
    const auto phase = context.phase("encode");
    return model.architecture->encodeForAnswers(model.weights, rows);
  };
  const bool keeps = notes.encodingBytes > 0 && base_->encodings && base_->architecture->answersFromStates();
  const auto kept = [&](const std::vector<int64_t>& rows) {
    const auto phase = context.phase("encode");
    return encodeRows(*base_, pick(source, rows), notes.encodingBytes);
  };
  const TokenBatch all = sourceOf(source, *base_);
  for (const Share& share : decision.shares) {
    context.checkCancelled();
    const bool byBase = share.behindEdits.rows() == 0;
    Encoded plain;
    if (byBase || share.logit_R.defined()) {
      plain = keeps ? kept(share.rows) : encoded(*base_, all.select(rowIndices(share.rows, base_->device)));
    }
    if (byBase) {
      const auto phase = context.phase("decode");
      answer(share, *base_, plain, nullptr);
      continue;
    }
    const Model& counterfactual = models_->counterfactual;
    const Encoded behind = encoded(counterfactual, sourceOf(share.behindEdits, counterfactual));
    const auto phase = context.phase("decode");
    answer(share, counterfactual, behind, share.logit_R.defined() ? &plain : nullptr);
  }
}

TokenScores RoutedScorer::score(const PairRows& batch, const RowNotes& notes, JobContext& context) const {
  const at::NoGradGuard noGrad;
  checkNotes(notes, batch.rows());
  TokenScores scores;
  prepareScores(batch, scores);
  const Targets all = targetsOf(batch, *base_);
  Decision decision = decide(batch.source, notes.views, context);
  eachShare(decision, batch.source, notes, context,
            [&](const Share& share, const Model& model, const Encoded& rows, const Encoded* plain) {
              scoreShare(share, model, rows, plain, all, batch.target, scores);
            });
  sumRows(batch, scores);
  scores.scope = std::move(decision.scope);
  return scores;
}

void RoutedScorer::scoreShare(const Share& share, const Model& model, const Encoded& rows,
                              const Encoded* plain, const Targets& all, const TokenRows& target,
                              TokenScores& scores) const {
  const Targets targets = all.select(rowIndices(share.rows, base_->device));
  const std::vector<int64_t> places = placesOf(share.rows, target);
  const at::Tensor states_ND = model.architecture->targetStates(model.weights, rows, targets, {});
  if (plain == nullptr) {
    scoreStates(model, states_ND, targets, places, scores);
    return;
  }
  const Architecture& family = *base_->architecture;
  scoreMixed(model.architecture->head(model.weights), states_ND, family.head(base_->weights),
             family.targetStates(base_->weights, *plain, targets, {}),
             share.logit_R.index_select(0, targets.rowOf_N), targets, places, scores);
}

at::Tensor RoutedScorer::targetLogits(const PairRows& batch, const RowNotes& notes,
                                      JobContext& context) const {
  const at::NoGradGuard noGrad;
  checkNotes(notes, batch.rows());
  const Targets all = targetsOf(batch, *base_);
  const Decision decision = decide(batch.source, notes.views, context);
  GatheredLogits gathered(batch.target);
  eachShare(decision, batch.source, notes, context,
            [&](const Share& share, const Model& model, const Encoded& rows, const Encoded* plain) {
              const Targets targets = all.select(rowIndices(share.rows, base_->device));
              at::Tensor logits_NV = model.architecture->targetLogits(model.weights, rows, targets, {});
              if (plain != nullptr) {
                logits_NV = mixLogProb(logits_NV,
                                       base_->architecture->targetLogits(base_->weights, *plain, targets, {}),
                                       share.logit_R.index_select(0, targets.rowOf_N));
              }
              gathered.put(share.rows, logits_NV);
            });
  return gathered.take();
}

Generation RoutedScorer::generate(const TokenRows& source, const RowNotes& notes,
                                  const GenerateOptions& options, JobContext& context) const {
  const at::NoGradGuard noGrad;
  checkNotes(notes, source.rows());
  Decision decision = decide(source, notes.views, context);
  GatheredAnswers answers(source.rows());
  eachShare(decision, source, notes, context,
            [&](const Share& share, const Model& model, const Encoded& rows, const Encoded* plain) {
              answers.put(share.rows, generateShare(share, model, rows, plain, options, context));
            });
  return {answers.take(), std::move(decision.scope)};
}

TokenRows RoutedScorer::generateShare(const Share& share, const Model& model, const Encoded& rows,
                                      const Encoded* plain, const GenerateOptions& options,
                                      JobContext& context) const {
  std::unique_ptr<DecodeState> state = model.architecture->startDecode(model.weights, rows, {});
  if (plain != nullptr) {
    state = mixDecoding(std::move(state), base_->architecture->startDecode(base_->weights, *plain, {}),
                        share.logit_R);
  }
  return generateTokens(*model.architecture, *state, rows.source, options, context);
}

Replies RoutedScorer::answer(const PairRows& batch, const RowNotes& notes, const GenerateOptions& options,
                             JobContext& context) const {
  const at::NoGradGuard noGrad;
  checkNotes(notes, batch.rows());
  Replies replies;
  TokenScores& scores = replies.scores;
  prepareScores(batch, scores);
  const Targets all = targetsOf(batch, *base_);
  const Decision decision = decide(batch.source, notes.views, context);
  GatheredAnswers tokens(batch.rows());
  eachShare(decision, batch.source, notes, context,
            [&](const Share& share, const Model& model, const Encoded& rows, const Encoded* plain) {
              tokens.put(share.rows, generateShare(share, model, rows, plain, options, context));
              scoreShare(share, model, rows, plain, all, batch.target, scores);
            });
  sumRows(batch, scores);
  scores.scope = decision.scope;
  replies.generation = {tokens.take(), decision.scope};
  return replies;
}

}  // namespace seprog
