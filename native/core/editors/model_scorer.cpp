#include "model_scorer.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <numeric>

#include "../error.h"
#include "../ops/masked_kl/masked_kl.h"
#include "../train/losses.h"

namespace seprog {
namespace {

// Logits that one pass of the comparison covers, 4 MiB of floats.
constexpr int64_t kCompareElements = 1 << 20;

}  // namespace

ModelScorer::ModelScorer(std::shared_ptr<const Model> original, Weights weights, std::string madeBy,
                         Figures editFigures)
    : original_(std::move(original)),
      model_{original_->architecture, std::move(weights), original_->device},
      madeBy_(std::move(madeBy)),
      editFigures_(std::move(editFigures)) {
  if (madeBy_.empty()) model_.encodings = original_->encodings;
}

TokenScores ModelScorer::score(const PairRows& batch, const RowNotes& notes, JobContext& context) const {
  at::NoGradGuard noGrad;
  checkNotes(notes, batch.rows());
  const Targets targets = targetsOf(batch, model_);
  return scoreEncoded(batch, targets, encode(batch.source, notes, context), context);
}

TokenScores ModelScorer::scoreEncoded(const PairRows& batch, const Targets& targets, const Encoded& encoded,
                                      JobContext& context) const {
  TokenScores scores;
  prepareScores(batch, scores);
  const auto phase = context.phase("decode");
  std::vector<int64_t> places(batch.target.ids.size());
  std::iota(places.begin(), places.end(), 0);
  const Architecture& family = *model_.architecture;
  scoreStates(model_, family.targetStates(model_.weights, encoded, targets, {}), targets, places, scores);
  sumRows(batch, scores);
  return scores;
}

at::Tensor ModelScorer::targetLogits(const PairRows& batch, const RowNotes& notes,
                                     JobContext& context) const {
  at::NoGradGuard noGrad;
  checkNotes(notes, batch.rows());
  const Targets targets = targetsOf(batch, model_);
  const Encoded encoded = encode(batch.source, notes, context);
  const auto phase = context.phase("decode");
  return model_.architecture->targetLogits(model_.weights, encoded, targets, {});
}

Generation ModelScorer::generate(const TokenRows& source, const RowNotes& notes,
                                 const GenerateOptions& options, JobContext& context) const {
  at::NoGradGuard noGrad;
  checkNotes(notes, source.rows());
  return generateEncoded(encode(source, notes, context), options, context);
}

Generation ModelScorer::generateEncoded(const Encoded& encoded, const GenerateOptions& options,
                                        JobContext& context) const {
  const auto phase = context.phase("decode");
  return {generateTokens(*model_.architecture, model_.weights, encoded, {}, options, context), {}};
}

Replies ModelScorer::answer(const PairRows& batch, const RowNotes& notes, const GenerateOptions& options,
                            JobContext& context) const {
  const at::NoGradGuard noGrad;
  checkNotes(notes, batch.rows());
  const Targets targets = targetsOf(batch, model_);
  const Encoded encoded = encode(batch.source, notes, context);
  return {generateEncoded(encoded, options, context), scoreEncoded(batch, targets, encoded, context)};
}

Encoded ModelScorer::encode(const TokenRows& source, const RowNotes& notes, JobContext& context) const {
  const auto phase = context.phase("encode");
  if (!model_.architecture->answersFromStates()) return {sourceOf(source, model_), {}};
  return encodeRows(model_, source, notes.encodingBytes);
}

Encoded encodeRows(const Model& model, const TokenRows& source, int64_t encodingBytes) {
  if (encodingBytes > 0 && model.encodings) return model.encodings->encode(model, source, encodingBytes);
  return model.architecture->encode(model.weights, sourceOf(source, model));
}

TokenBatch sourceOf(const TokenRows& source, const Model& model) {
  return pad(source, model.architecture->padId(), model.architecture->vocabulary(), model.device);
}

Targets targetsOf(const PairRows& batch, const Model& model) {
  if (batch.source.rows() != batch.target.rows()) {
    fail(ErrorCode::DataInvalid, "expected as many targets as sources for `batch` but received " +
                                     std::to_string(batch.source.rows()) + " sources and " +
                                     std::to_string(batch.target.rows()) + " targets");
  }
  return targetsFor(*model.architecture, batch.target, model.device);
}

void prepareScores(const PairRows& batch, TokenScores& scores) {
  scores.logProb.resize(batch.target.ids.size());
  scores.argmax.resize(batch.target.ids.size());
  scores.rowLoss.resize(batch.rows());
}

void scoreStates(const Model& model, const at::Tensor& states_ND, const Targets& targets,
                 const std::vector<int64_t>& places_N, TokenScores& scores) {
  const TokenLosses losses = tokenNll(states_ND, model.architecture->head(model.weights), targets.labels_N);
  const at::Tensor logProb_N = losses.logProb_N.to(at::kCPU).contiguous();
  const at::Tensor argmax_N = losses.argmax_N.to(at::kCPU, at::kInt).contiguous();
  for (size_t n = 0; n < places_N.size(); ++n) {
    scores.logProb[places_N[n]] = logProb_N.const_data_ptr<float>()[n];
    scores.argmax[places_N[n]] = argmax_N.const_data_ptr<int32_t>()[n];
  }
}

void sumRows(const PairRows& batch, TokenScores& scores) {
  auto next = scores.logProb.begin();
  for (int64_t b = 0; b < batch.rows(); ++b) {
    const auto end = next + batch.target.lengths[b];
    scores.rowLoss[b] = static_cast<float>(-std::accumulate(next, end, 0.0));
    next = end;
  }
}

bool isBaseScorer(const Scorer& scorer) {
  const auto* model = dynamic_cast<const ModelScorer*>(&scorer);
  return model != nullptr && model->madeBy().empty();
}

void demandBase(const Scorer& onto, const Model& base) {
  if (&onto.base() == &base || onto.base().weights.checksum() == base.weights.checksum()) return;
  fail(ErrorCode::Unsupported,
       "expected a scorer of the base model this editor was made for but received one of another model; "
       "make an editor for that model");
}

std::shared_ptr<Scorer> baseScorer(std::shared_ptr<const Model> model) {
  Weights weights = model->weights;
  return std::make_shared<ModelScorer>(std::move(model), std::move(weights));
}

std::vector<float> compareScorers(const Scorer& reference, const Scorer& edited, const PairRows& batch,
                                  const RowNotes& notes, JobContext& context) {
  at::NoGradGuard noGrad;
  const at::Tensor reference_NV = reference.targetLogits(batch, notes, context);
  context.checkCancelled();
  const at::Tensor edited_NV = edited.targetLogits(batch, notes, context);
  if (reference_NV.sizes() != edited_NV.sizes()) {
    fail(ErrorCode::ShapeMismatch, "expected two models of one vocabulary for `compare` but received " +
                                       std::to_string(reference_NV.size(1)) + " and " +
                                       std::to_string(edited_NV.size(1)) + " ids");
  }
  const int64_t n = reference_NV.size(0);
  const int64_t rows = std::max<int64_t>(1, kCompareElements / std::max<int64_t>(1, reference_NV.size(1)));
  std::vector<float> divergence;
  divergence.reserve(n);
  for (int64_t first = 0; first < n; first += rows) {
    const int64_t count = std::min(rows, n - first);
    const at::Tensor kl = maskedKl(reference_NV.narrow(0, first, count), edited_NV.narrow(0, first, count))
                              .to(at::kCPU, at::kFloat)
                              .contiguous();
    divergence.insert(divergence.end(), kl.const_data_ptr<float>(), kl.const_data_ptr<float>() + count);
  }
  return divergence;
}

}  // namespace seprog
