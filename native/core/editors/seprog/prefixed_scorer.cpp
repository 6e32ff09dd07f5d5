#include "prefixed_scorer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include <limits>
#include <numeric>

#include "../base_scorer.h"

namespace seprog {
namespace {

at::Tensor indices(const std::vector<int64_t>& rows, const at::Device& device) {
  return at::tensor(rows, at::kLong).to(device);
}

/// Where the target tokens of `rows` stand among all target tokens of the batch.
std::vector<int64_t> placesOf(const std::vector<int64_t>& rows, const TokenRows& target) {
  std::vector<int64_t> start(target.lengths.size() + 1, 0);
  for (size_t b = 0; b < target.lengths.size(); ++b) start[b + 1] = start[b] + target.lengths[b];
  std::vector<int64_t> places;
  for (const int64_t b : rows) {
    for (int64_t place = start[b]; place < start[b + 1]; ++place) places.push_back(place);
  }
  return places;
}

}  // namespace

PrefixedScorer::PrefixedScorer(std::shared_ptr<const Model> base,
                               std::shared_ptr<const SeprogModules> modules,
                               std::shared_ptr<EditMemory> memory, Gate gate)
    : base_(std::move(base)), modules_(std::move(modules)), memory_(std::move(memory)), gate_(gate) {}

Encoded PrefixedScorer::encode(const TokenRows& source, JobContext& context) const {
  const auto phase = context.phase("encode");
  return base_->architecture->encode(base_->weights, sourceOf(source, *base_));
}

PrefixedScorer::Decision PrefixedScorer::decide(const Encoded& encoded, JobContext& context) const {
  const int64_t rows = encoded.h_BSD.size(0);
  Decision decision;
  if (memory_->size() == 0) {  // nothing is in the scope of no edit
    decision.scope.logit.assign(rows, -std::numeric_limits<float>::infinity());
    decision.scope.selected.assign(rows, -1);
    decision.plain.resize(rows);
    std::iota(decision.plain.begin(), decision.plain.end(), 0);
    return decision;
  }

  at::Tensor b_BDb, h_BH;
  {
    const auto phase = context.phase("retrieve");
    b_BDb = pool(encoded.h_BSD, encoded.source, modules_->spec().basePool);  // R6
    const at::Tensor H_KH = memory_->embeddings_KH().to(base_->device);
    const auto [alpha_1BK, h_1BH] = modules_->select(b_BDb.unsqueeze(0), H_KH.unsqueeze(0));  // R7
    h_BH = h_1BH.squeeze(0);
    const at::Tensor selected_B = alpha_1BK.squeeze(0).argmax(1).to(at::kCPU, at::kInt).contiguous();
    const int32_t* selected = selected_B.const_data_ptr<int32_t>();
    decision.scope.selected.assign(selected, selected + rows);
  }
  {
    const auto phase = context.phase("classify");
    const at::Tensor logit_B = modules_->scopeLogit(h_BH, b_BDb).to(at::kCPU).contiguous();  // R8
    const float* logit = logit_B.const_data_ptr<float>();
    decision.scope.logit.assign(logit, logit + rows);
    for (int64_t b = 0; b < rows; ++b) {
      const bool inScope = gate_ == Gate::Always || logit[b] > 0.0f;  // e(x) > 0.5, strictly
      (inScope ? decision.prompted : decision.plain).push_back(b);
    }
  }
  if (!decision.prompted.empty()) {
    const auto phase = context.phase("prompt");
    decision.prompts_RPD =
        modules_->prompts(h_BH.index_select(0, indices(decision.prompted, base_->device)));  // R9
  }
  return decision;
}

template <typename Answer>
void PrefixedScorer::eachKind(const Decision& decision, const Encoded& encoded, Answer&& answer) const {
  const auto only = [&](const std::vector<int64_t>& rows) {
    return static_cast<int64_t>(rows.size()) == encoded.h_BSD.size(0)
               ? encoded
               : encoded.select(indices(rows, base_->device));
  };
  if (!decision.plain.empty()) answer(decision.plain, only(decision.plain), at::Tensor());
  if (!decision.prompted.empty()) answer(decision.prompted, only(decision.prompted), decision.prompts_RPD);
}

TokenScores PrefixedScorer::score(const PairRows& batch, JobContext& context) const {
  at::NoGradGuard noGrad;
  TokenScores scores;
  prepareScores(batch, scores);
  const Targets all = targetsOf(batch, *base_);
  const Encoded encoded = encode(batch.source, context);
  Decision decision = decide(encoded, context);
  context.checkCancelled();
  const auto phase = context.phase("decode");
  eachKind(decision, encoded,
           [&](const std::vector<int64_t>& rows, const Encoded& part, const at::Tensor& prompt) {
             const Targets targets = all.select(indices(rows, base_->device));
             const at::Tensor states_ND =
                 base_->architecture->targetStates(base_->weights, part, targets, prompt);
             scoreStates(*base_, states_ND, targets, placesOf(rows, batch.target), scores);
           });
  sumRows(batch, scores);
  scores.scope = std::move(decision.scope);
  return scores;
}

at::Tensor PrefixedScorer::targetLogits(const PairRows& batch, JobContext& context) const {
  at::NoGradGuard noGrad;
  const Targets all = targetsOf(batch, *base_);
  const Encoded encoded = encode(batch.source, context);
  const Decision decision = decide(encoded, context);
  context.checkCancelled();
  const auto phase = context.phase("decode");
  at::Tensor logits_NV;
  eachKind(decision, encoded,
           [&](const std::vector<int64_t>& rows, const Encoded& part, const at::Tensor& prompt) {
             const Targets targets = all.select(indices(rows, base_->device));
             const at::Tensor part_NV =
                 base_->architecture->targetLogits(base_->weights, part, targets, prompt);
             if (static_cast<int64_t>(rows.size()) == batch.rows()) {
               logits_NV = part_NV;
               return;
             }
             if (!logits_NV.defined()) {
               logits_NV = at::empty({static_cast<int64_t>(batch.target.ids.size()), part_NV.size(1)},
                                     part_NV.options());
             }
             logits_NV.index_copy_(0, indices(placesOf(rows, batch.target), base_->device), part_NV);
           });
  return logits_NV;
}

Generation PrefixedScorer::generate(const TokenRows& source, const GenerateOptions& options,
                                    JobContext& context) const {
  at::NoGradGuard noGrad;
  const Encoded encoded = encode(source, context);
  Decision decision = decide(encoded, context);
  context.checkCancelled();
  const auto phase = context.phase("decode");
  std::vector<std::vector<int32_t>> answers(source.rows());
  eachKind(decision, encoded,
           [&](const std::vector<int64_t>& rows, const Encoded& part, const at::Tensor& prompt) {
             const TokenRows tokens =
                 generateGreedy(*base_->architecture, base_->weights, part, prompt, options, context);
             auto next = tokens.ids.begin();
             for (size_t r = 0; r < rows.size(); ++r) {
               answers[rows[r]].assign(next, next + tokens.lengths[r]);
               next += tokens.lengths[r];
             }
           });
  Generation generation;
  for (const std::vector<int32_t>& answer : answers) {
    generation.tokens.ids.insert(generation.tokens.ids.end(), answer.begin(), answer.end());
    generation.tokens.lengths.push_back(static_cast<int32_t>(answer.size()));
  }
  generation.scope = std::move(decision.scope);
  return generation;
}

}  // namespace seprog
