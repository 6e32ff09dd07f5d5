// B rows, N target tokens, V target vocabulary.
#include "lookup.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>

#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "../error.h"
#include "../options.h"
#include "model_scorer.h"
#include "row_shares.h"
#include "untrained.h"

namespace seprog {
namespace {

using Ids = std::vector<int32_t>;
using Question = std::pair<Ids, Ids>;  // ids and types

/// Calls use(ids, types) row by row; rows without types have zeros.
template <typename Use>
void eachRow(const TokenRows& rows, Use&& use) {
  size_t next = 0;
  for (const int32_t length : rows.lengths) {
    const auto part = [&](const Ids& values) {
      return values.empty() ? Ids(length) : Ids(values.begin() + next, values.begin() + next + length);
    };
    use(part(rows.ids), part(rows.types));
    next += length;
  }
}

/// Edits in the order they were made.
class AnswerTable {
 public:
  void add(const PairRows& edits) {
    eachRow(edits.source, [&](Ids ids, Ids types) {
      editOf_[{std::move(ids), std::move(types)}] = firstNew_++;
    });
    eachRow(edits.target, [&](Ids ids, const Ids&) { answers_.push_back(std::move(ids)); });
  }
  /// −1 for a question that no edit has.
  std::vector<int64_t> find(const TokenRows& questions) const {
    std::vector<int64_t> found;
    eachRow(questions, [&](Ids ids, Ids types) {
      const auto edit = editOf_.find({std::move(ids), std::move(types)});
      found.push_back(edit == editOf_.end() ? -1 : edit->second);
    });
    return found;
  }
  /// The token at a position of an edit's answer.
  int32_t token(int64_t edit, size_t position) const {
    const Ids& answer = answers_[edit];
    return answer[std::min(position, answer.size() - 1)];
  }
  size_t answerLength(int64_t edit) const { return answers_[edit].size(); }

 private:
  std::map<Question, int64_t> editOf_;
  std::vector<Ids> answers_;
  int64_t firstNew_ = 0;
};

class LookupScorer : public Scorer {
 public:
  using Scorer::generate;
  using Scorer::score;
  using Scorer::targetLogits;

  LookupScorer(std::shared_ptr<const Model> base, AnswerTable table, std::string madeBy)
      : base_(std::move(base)),
        plain_(baseScorer(base_)),
        table_(std::move(table)),
        madeBy_(std::move(madeBy)) {}

  const Model& base() const override { return *base_; }
  const AnswerTable& table() const { return table_; }
  const std::string& madeBy() const { return madeBy_; }

  TokenScores score(const PairRows& batch, const RowNotes& notes, JobContext& context) const override;
  at::Tensor targetLogits(const PairRows& batch, const RowNotes& notes, JobContext& context) const override;
  Generation generate(const TokenRows& source, const RowNotes& notes, const GenerateOptions& options,
                      JobContext& context) const override;

 private:
  struct Decision {
    ScopeDecision scope;
    std::vector<int64_t> plain, stored;  // rows
    std::vector<int64_t> edit_B;
  };
  Decision decide(const TokenRows& source, const RowNotes& notes) const;
  /// ln p of a stored token, and of each other.
  std::pair<double, double> logProbs() const {
    const auto others = static_cast<double>(base_->architecture->targetVocabulary() - 1);
    return {std::log1p(-kLookupEpsilon), std::log(kLookupEpsilon / others)};
  }

  std::shared_ptr<const Model> base_;
  std::shared_ptr<Scorer> plain_;
  AnswerTable table_;
  std::string madeBy_;
};

LookupScorer::Decision LookupScorer::decide(const TokenRows& source, const RowNotes& notes) const {
  checkNotes(notes, source.rows());
  Decision decision;
  decision.edit_B = table_.find(source);
  for (size_t b = 0; b < decision.edit_B.size(); ++b) {
    const int64_t edit = decision.edit_B[b];
    decision.scope.logit.push_back(edit < 0 ? -1.0F : 1.0F);
    decision.scope.selected.push_back(static_cast<int32_t>(edit));
    (edit < 0 ? decision.plain : decision.stored).push_back(static_cast<int64_t>(b));
  }
  return decision;
}

PairRows pick(const PairRows& batch, const std::vector<int64_t>& rows) {
  return {seprog::pick(batch.source, rows), seprog::pick(batch.target, rows)};
}

TokenScores LookupScorer::score(const PairRows& batch, const RowNotes& notes, JobContext& context) const {
  Decision decision = decide(batch.source, notes);
  const Targets targets = targetsOf(batch, *base_);  // checks what the base is not asked too
  TokenScores scores;
  prepareScores(batch, scores);
  if (!decision.plain.empty()) {
    const TokenScores part = plain_->score(pick(batch, decision.plain), context);
    const std::vector<int64_t> places = placesOf(decision.plain, batch.target);
    for (size_t n = 0; n < places.size(); ++n) {
      scores.logProb[places[n]] = part.logProb[n];
      scores.argmax[places[n]] = part.argmax[n];
    }
  }
  const auto [right, wrong] = logProbs();
  for (const int64_t b : decision.stored) {
    size_t position = 0;
    for (const int64_t place : placesOf({b}, batch.target)) {
      const int32_t token = table_.token(decision.edit_B[b], position++);
      scores.argmax[place] = token;
      scores.logProb[place] = static_cast<float>(batch.target.ids[place] == token ? right : wrong);
    }
  }
  sumRows(batch, scores);
  scores.scope = std::move(decision.scope);
  return scores;
}

at::Tensor LookupScorer::targetLogits(const PairRows& batch, const RowNotes& notes,
                                      JobContext& context) const {
  at::NoGradGuard noGrad;
  const Decision decision = decide(batch.source, notes);
  const Targets targets = targetsOf(batch, *base_);
  GatheredLogits logits(batch.target);
  if (!decision.plain.empty()) {
    logits.put(decision.plain, plain_->targetLogits(pick(batch, decision.plain), context));
  }
  if (!decision.stored.empty()) {
    const std::vector<int64_t> places = placesOf(decision.stored, batch.target);
    const auto [right, wrong] = logProbs();
    at::Tensor stored_NV =
        at::full({static_cast<int64_t>(places.size()), base_->architecture->targetVocabulary()}, wrong,
                 at::TensorOptions(at::kFloat));
    auto stored = stored_NV.accessor<float, 2>();
    int64_t n = 0;
    for (const int64_t b : decision.stored) {
      for (int32_t position = 0; position < batch.target.lengths[b]; ++position) {
        stored[n++][table_.token(decision.edit_B[b], position)] = static_cast<float>(right);
      }
    }
    logits.put(decision.stored, stored_NV.to(base_->device));
  }
  return logits.take();
}

Generation LookupScorer::generate(const TokenRows& source, const RowNotes& notes,
                                  const GenerateOptions& options, JobContext& context) const {
  Decision decision = decide(source, notes);
  GatheredAnswers answers(source.rows());
  if (!decision.plain.empty()) {
    answers.put(decision.plain,
                plain_->generate(seprog::pick(source, decision.plain), options, context).tokens);
  }
  TokenRows stored;
  for (const int64_t b : decision.stored) {
    const int64_t edit = decision.edit_B[b];
    const bool label = base_->architecture->answerKind() == AnswerKind::Label;
    const auto most = static_cast<size_t>(label ? 1 : options.maxNewTokens);
    const size_t length = options.stopAtEnd ? std::min(most, table_.answerLength(edit)) : most;
    for (size_t position = 0; position < length; ++position) {
      stored.ids.push_back(table_.token(edit, position));
    }
    stored.lengths.push_back(static_cast<int32_t>(length));
  }
  answers.put(decision.stored, stored);
  return {answers.take(), std::move(decision.scope)};
}

class Lookup : public UntrainedEditor {
 public:
  explicit Lookup(std::shared_ptr<const Model> base)
      : UntrainedEditor("lookup", Json::Object{{"kind", "lookup"}}, std::move(base)) {}

  std::shared_ptr<Scorer> edit(const EditRequests& requests, std::shared_ptr<Scorer> onto,
                               JobContext&) override {
    const auto* below = editedBelow<LookupScorer>(*onto);
    AnswerTable table = below == nullptr ? AnswerTable() : below->table();
    if (requests.edits.rows() > 0) {
      const Targets targets = targetsOf(requests.edits, *base());
      for (int64_t row = 0; row < requests.edits.rows(); ++row) {
        if (targets.tokens.lengths[row] > 0) continue;
        fail(ErrorCode::DataInvalid, "expected at least one token for `edits.target` row " +
                                         std::to_string(row) + " but received none");
      }
      table.add(requests.edits);
    }
    return std::make_shared<LookupScorer>(base(), std::move(table), madeBy());
  }
};

}  // namespace

std::shared_ptr<Editor> makeLookup(const Json& json, std::shared_ptr<const Model> base) {
  Options options(json, "editor");
  options.choice("kind", {"lookup"});
  options.integer("seed", 0);
  options.finish();
  return std::make_shared<Lookup>(std::move(base));
}

}  // namespace seprog
