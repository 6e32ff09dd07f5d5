#include "prefixed_scorer.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <limits>

#include "../../error.h"
#include "../model_scorer.h"
#include "../row_shares.h"
#include "soft_gate.h"

namespace seprog {
PrefixedScorer::PrefixedScorer(std::shared_ptr<const Model> base, Model answering,
                               std::shared_ptr<const SeprogModules> modules,
                               std::shared_ptr<EditMemory> memory, Gate gate, Figures editFigures)
    : base_(std::move(base)),
      answering_(std::move(answering)),
      modules_(std::move(modules)),
      memory_(std::move(memory)),
      gate_(gate),
      editFigures_(std::move(editFigures)) {}

Encoded PrefixedScorer::encode(const TokenRows& source, const RowNotes& notes, JobContext& context) const {
  const auto phase = context.phase("encode");
  return encodeRows(answering_, source, notes.encodingBytes);
}

void PrefixedScorer::checkOracle(const GoldEdits& gold, int64_t rows) const {
  const SeprogSpec& spec = modules_->spec();
  if (!spec.needsGoldEdits()) return;
  if (gold.empty() && rows > 0) {
    fail(ErrorCode::DataInvalid,
         "expected the gold edit of each row for `goldEdits` but received none; the variant \"" +
             spec.variantName() + "\" reads them");
  }
  for (size_t b = 0; b < gold.size(); ++b) {
    if (gold[b] >= -1 && gold[b] < memory_->size()) continue;
    fail(ErrorCode::DataInvalid, "expected -1 or one of the " + std::to_string(memory_->size()) +
                                     " edits for `goldEdits[" + std::to_string(b) + "]` but received " +
                                     std::to_string(gold[b]));
  }
}

CrossAttention PrefixedScorer::select(const at::Tensor& b_BDb, const at::Tensor& H_KH,
                                      const GoldEdits& gold) const {
  CrossAttention selection = modules_->select(b_BDb.unsqueeze(0), H_KH.unsqueeze(0), {.argmax = true});  // R7
  if (modules_->spec().variant != Variant::OracleEdit) return selection;
  // Rows in scope of an edit get a one-hot α; of the others nobody knows better.
  for (size_t b = 0; b < gold.size(); ++b) {
    if (gold[b] < 0) continue;
    const auto row = static_cast<int64_t>(b);
    selection.h_nRH.select(1, row).copy_(H_KH.select(0, gold[b]));
    selection.argmax_nR.select(1, row).fill_(gold[b]);
  }
  return selection;
}

bool PrefixedScorer::isPrompted(float logit, int32_t gold) const {
  if (gate_ == Gate::Always) return true;
  switch (modules_->spec().variant) {
    case Variant::NoClassifier:
    case Variant::NoSelect:
      return true;
    case Variant::OracleGate:
      return gold >= 0;
    case Variant::Seprog:
    case Variant::Finetune:
    case Variant::OracleEdit:
    case Variant::SoftGate:
    case Variant::NoAtt:
      return logit > 0.0f;  // e(x) > 0.5, strictly
  }
  return false;
}

PrefixedScorer::Decision PrefixedScorer::decide(const Encoded& encoded, const RowNotes& notes,
                                                JobContext& context) const {
  const int64_t rows = encoded.h_BSD.size(0);
  const SeprogSpec& spec = modules_->spec();
  checkNotes(notes, rows);
  const GoldEdits& gold = notes.gold;
  checkOracle(gold, rows);
  Decision decision;
  if (memory_->size() == 0) {  // nothing is in the scope of no edit
    if (spec.hasClassifier()) {
      decision.scope.logit.assign(rows, -std::numeric_limits<float>::infinity());
      decision.scope.selected.assign(rows, -1);
    }
    decision.shares.push_back({allRows(rows), {}, {}});
    return decision;
  }

  at::Tensor b_BDb, h_BH, logit_B;
  {
    const auto phase = context.phase("retrieve");
    b_BDb = pool(encoded.h_BSD, encoded.source, spec.basePool);  // R6
    const CrossAttention selection = select(b_BDb, memory_->embeddings_KH().to(base_->device), gold);
    h_BH = selection.h_nRH.squeeze(0);
    if (spec.hasClassifier() && spec.hasAttention()) {
      const at::Tensor selected_B = selection.argmax_nR.squeeze(0).to(at::kCPU, at::kInt).contiguous();
      const int32_t* selected = selected_B.const_data_ptr<int32_t>();
      decision.scope.selected.assign(selected, selected + rows);
    } else if (spec.hasClassifier()) {
      decision.scope.selected.assign(rows, -1);
    }
  }
  Share plain, prompted;
  {
    const auto phase = context.phase("classify");
    if (spec.hasClassifier()) {
      logit_B = modules_->scopeLogit(h_BH, b_BDb);  // R8
      const at::Tensor onCpu = logit_B.to(at::kCPU).contiguous();
      const float* logit = onCpu.const_data_ptr<float>();
      decision.scope.logit.assign(logit, logit + rows);
    }
    if (gate_ == Gate::Scope && spec.variant == Variant::SoftGate) {
      prompted = {allRows(rows), {}, logit_B};
    } else {
      for (int64_t b = 0; b < rows; ++b) {
        const float logit = spec.hasClassifier() ? decision.scope.logit[b] : 0.0f;
        (isPrompted(logit, gold.empty() ? -1 : gold[b]) ? prompted : plain).rows.push_back(b);
      }
    }
  }
  if (!plain.rows.empty()) decision.shares.push_back(std::move(plain));
  if (!prompted.rows.empty()) {
    const auto phase = context.phase("prompt");
    prompted.prompts_RPD =
        modules_->prompts(h_BH.index_select(0, rowIndices(prompted.rows, base_->device)));  // R9
    decision.shares.push_back(std::move(prompted));
  }
  return decision;
}

template <typename Answer>
void PrefixedScorer::eachShare(const Decision& decision, const Encoded& encoded, Answer&& answer) const {
  for (const Share& share : decision.shares) {
    const bool all = static_cast<int64_t>(share.rows.size()) == encoded.h_BSD.size(0);
    answer(share, all ? encoded : encoded.select(rowIndices(share.rows, base_->device)));
  }
}

TokenScores PrefixedScorer::score(const PairRows& batch, const RowNotes& notes, JobContext& context) const {
  at::NoGradGuard noGrad;
  const Targets targets = targetsOf(batch, answering_);
  const Encoded encoded = encode(batch.source, notes, context);
  Decision decision = decide(encoded, notes, context);
  context.checkCancelled();
  TokenScores scores = scoreShares(batch, targets, decision, encoded, context);
  scores.scope = std::move(decision.scope);
  return scores;
}

TokenScores PrefixedScorer::scoreShares(const PairRows& batch, const Targets& all, const Decision& decision,
                                        const Encoded& encoded, JobContext& context) const {
  TokenScores scores;
  prepareScores(batch, scores);
  const auto phase = context.phase("decode");
  eachShare(decision, encoded, [&](const Share& share, const Encoded& part) {
    const Targets targets = all.select(rowIndices(share.rows, base_->device));
    const std::vector<int64_t> places = placesOf(share.rows, batch.target);
    const auto states = [&](const Prompt& prompt) {
      return answering_.architecture->targetStates(answering_.weights, part, targets, prompt);
    };
    const at::Tensor states_ND = states(modules_->promptOf(share.prompts_RPD));
    if (share.logit_R.defined()) {
      const Head head = answering_.architecture->head(answering_.weights);
      scoreMixed(head, states_ND, head, states({}), share.logit_R.index_select(0, targets.rowOf_N), targets,
                 places, scores);
    } else {
      scoreStates(answering_, states_ND, targets, places, scores);
    }
  });
  sumRows(batch, scores);
  return scores;
}

at::Tensor PrefixedScorer::targetLogits(const PairRows& batch, const RowNotes& notes,
                                        JobContext& context) const {
  at::NoGradGuard noGrad;
  const Targets all = targetsOf(batch, answering_);
  const Encoded encoded = encode(batch.source, notes, context);
  const Decision decision = decide(encoded, notes, context);
  context.checkCancelled();
  const auto phase = context.phase("decode");
  GatheredLogits gathered(batch.target);
  eachShare(decision, encoded, [&](const Share& share, const Encoded& part) {
    const Targets targets = all.select(rowIndices(share.rows, base_->device));
    const auto logits = [&](const Prompt& prompt) {
      return answering_.architecture->targetLogits(answering_.weights, part, targets, prompt);
    };
    at::Tensor part_NV = logits(modules_->promptOf(share.prompts_RPD));
    if (share.logit_R.defined()) {
      part_NV = mixLogProb(part_NV, logits({}), share.logit_R.index_select(0, targets.rowOf_N));
    }
    gathered.put(share.rows, part_NV);
  });
  return gathered.take();
}

Generation PrefixedScorer::generate(const TokenRows& source, const RowNotes& notes,
                                    const GenerateOptions& options, JobContext& context) const {
  at::NoGradGuard noGrad;
  const Encoded encoded = encode(source, notes, context);
  Decision decision = decide(encoded, notes, context);
  context.checkCancelled();
  TokenRows tokens = generateShares(decision, encoded, options, context);
  return {std::move(tokens), std::move(decision.scope)};
}

TokenRows PrefixedScorer::generateShares(const Decision& decision, const Encoded& encoded,
                                         const GenerateOptions& options, JobContext& context) const {
  const auto phase = context.phase("decode");
  GatheredAnswers answers(encoded.h_BSD.size(0));
  eachShare(decision, encoded, [&](const Share& share, const Encoded& part) {
    const auto start = [&](const Prompt& prompt) {
      return answering_.architecture->startDecode(answering_.weights, part, prompt);
    };
    std::unique_ptr<DecodeState> state = start(modules_->promptOf(share.prompts_RPD));
    if (share.logit_R.defined()) state = mixDecoding(std::move(state), start({}), share.logit_R);
    answers.put(share.rows, generateTokens(*answering_.architecture, *state, part.source, options, context));
  });
  return answers.take();
}

Replies PrefixedScorer::answer(const PairRows& batch, const RowNotes& notes, const GenerateOptions& options,
                               JobContext& context) const {
  const at::NoGradGuard noGrad;
  const Targets targets = targetsOf(batch, answering_);
  const Encoded encoded = encode(batch.source, notes, context);
  const Decision decision = decide(encoded, notes, context);
  context.checkCancelled();
  Replies replies;
  replies.generation = {generateShares(decision, encoded, options, context), decision.scope};
  context.checkCancelled();
  replies.scores = scoreShares(batch, targets, decision, encoded, context);
  replies.scores.scope = decision.scope;
  return replies;
}

}  // namespace seprog
