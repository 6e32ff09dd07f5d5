// B rows, K edits, D width of the encoder.
#include "nearest.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/mm.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "../error.h"
#include "../fnv.h"
#include "../instrument/memory_role.h"
#include "../options.h"
#include "../plan/planned_device.h"
#include "model_scorer.h"
#include "seprog/edit_encoder.h"
#include "untrained.h"

namespace seprog {
namespace {

/// Unit vectors of texts, [B, D].
class TextEncoder {
 public:
  TextEncoder(Model model, int64_t microBatch) : model_(std::move(model)), microBatch_(microBatch) {}

  at::Tensor directions(const TokenRows& texts, JobContext& context) const {
    at::NoGradGuard noGrad;
    std::vector<at::Tensor> parts;
    for (int64_t first = 0; first < texts.rows(); first += microBatch_) {
      context.checkCancelled();
      const int64_t count = std::min(microBatch_, texts.rows() - first);
      const TokenBatch batch = sourceOf(slice(texts, first, count), model_);
      const Encoded encoded = model_.architecture->encode(model_.weights, batch);
      const at::Tensor mean_BD = pool(encoded.h_BSD, batch, Pooling::Mean);
      parts.push_back(mean_BD / at::clamp_min(mean_BD.norm(2, {1}, true), 1e-12));
    }
    return at::cat(parts);
  }

 private:
  Model model_;
  int64_t microBatch_;
};

/// Edits in the order they were made.
struct Neighbours {
  at::Tensor direction_KD;
  TokenRows prefix;
  int64_t size() const { return prefix.rows(); }
};

/// The longest text a family takes, source and answer together where it goes on; none for relative positions.
int64_t positionsOf(const Architecture& family) {
  for (const char* key : {"n_positions", "max_position_embeddings"}) {
    const Json* value = family.family() == "t5" ? nullptr : family.config().find(key);
    if (value != nullptr && value->isNumber()) return static_cast<int64_t>(value->number());
  }
  return std::numeric_limits<int64_t>::max();
}

/// Tokens of its own that a text of the family begins with.
int64_t openingTokens(const Architecture& family) {
  return family.family() == "t5" || family.answerKind() == AnswerKind::Continuation ? 0 : 1;
}

class NearestScorer : public Scorer {
 public:
  using Scorer::generate;
  using Scorer::score;
  using Scorer::targetLogits;

  NearestScorer(std::shared_ptr<const Model> base, std::shared_ptr<const TextEncoder> encoder,
                double threshold, Neighbours edits, std::string madeBy)
      : base_(std::move(base)),
        plain_(baseScorer(base_)),
        encoder_(std::move(encoder)),
        threshold_(threshold),
        edits_(std::move(edits)),
        madeBy_(std::move(madeBy)) {}

  const Model& base() const override { return *base_; }
  const Neighbours& edits() const { return edits_; }
  const std::string& madeBy() const { return madeBy_; }

  TokenScores score(const PairRows& batch, const RowNotes& notes, JobContext& context) const override {
    const Asked asked = ask(batch.source, notes, batch.target.lengths, context);
    TokenScores scores = plain_->score({asked.source, batch.target}, context);
    scores.scope = asked.scope;
    return scores;
  }
  at::Tensor targetLogits(const PairRows& batch, const RowNotes& notes, JobContext& context) const override {
    return plain_->targetLogits(
        {ask(batch.source, notes, batch.target.lengths, context).source, batch.target}, context);
  }
  Generation generate(const TokenRows& source, const RowNotes& notes, const GenerateOptions& options,
                      JobContext& context) const override {
    const std::vector<int32_t> room(source.rows(), static_cast<int32_t>(options.maxNewTokens));
    Asked asked = ask(source, notes, room, context);
    Generation generation = plain_->generate(asked.source, options, context);
    generation.scope = std::move(asked.scope);
    return generation;
  }

 private:
  struct Asked {
    TokenRows source;  // what the base reads
    ScopeDecision scope;
  };
  ScopeDecision decide(const TokenRows& questions, JobContext& context) const;
  /// `answer_B`: tokens to keep free of each row, where answers stand behind their source.
  Asked ask(const TokenRows& source, const RowNotes& notes, const std::vector<int32_t>& answer_B,
            JobContext& context) const;
  /// The edit and the question behind it, not longer than `most`.
  std::vector<int32_t> join(int64_t edit, const std::vector<int32_t>& question, int64_t most) const;

  std::shared_ptr<const Model> base_;
  std::shared_ptr<Scorer> plain_;
  std::shared_ptr<const TextEncoder> encoder_;
  double threshold_;
  Neighbours edits_;
  std::string madeBy_;
};

ScopeDecision NearestScorer::decide(const TokenRows& questions, JobContext& context) const {
  const auto phase = context.phase("retrieve");
  ScopeDecision scope;
  const int64_t rows = questions.rows();
  if (edits_.size() == 0) {
    scope.logit.assign(rows, -std::numeric_limits<float>::infinity());
    scope.selected.assign(rows, -1);
    return scope;
  }
  const at::Tensor cosine_BK =
      at::mm(encoder_->directions(questions, context), edits_.direction_KD.t()).to(at::kCPU).contiguous();
  if (isPlanned(edits_.direction_KD.device())) {
    // Which edit is nearest nobody knows there: the longest bounds what any takes.
    const std::vector<int32_t>& lengths = edits_.prefix.lengths;
    const auto longest = std::max_element(lengths.begin(), lengths.end()) - lengths.begin();
    scope.selected.assign(rows, static_cast<int32_t>(longest));
    scope.logit.assign(rows, std::numeric_limits<float>::infinity());
    return scope;
  }
  for (int64_t b = 0; b < rows; ++b) {
    const float* cosine = cosine_BK.const_data_ptr<float>() + b * edits_.size();
    const float* best = std::max_element(cosine, cosine + edits_.size());  // the first of equals
    scope.selected.push_back(static_cast<int32_t>(best - cosine));
    scope.logit.push_back(static_cast<float>(*best - threshold_));
  }
  return scope;
}

std::vector<int32_t> idsOf(const TokenRows& rows, int64_t row) { return slice(rows, row, 1).ids; }

std::vector<int32_t> NearestScorer::join(int64_t edit, const std::vector<int32_t>& question,
                                         int64_t most) const {
  const Architecture& family = *base_->architecture;
  std::vector<int32_t> ids = idsOf(edits_.prefix, edit);
  const int64_t opening = std::min<int64_t>(openingTokens(family), std::ssize(ids));
  // A text that goes on is told from the one before it by the end of text.
  if (family.answerKind() == AnswerKind::Continuation) ids.push_back(static_cast<int32_t>(family.stopId()));
  const int64_t excess = std::ssize(ids) + std::ssize(question) - most;
  if (excess > 0) {
    const auto from = ids.begin() + opening;
    ids.erase(from, from + std::min<int64_t>(excess, std::ssize(ids) - opening));
  }
  ids.insert(ids.end(), question.begin(), question.end());
  return ids;
}

NearestScorer::Asked NearestScorer::ask(const TokenRows& source, const RowNotes& notes,
                                        const std::vector<int32_t>& answer_B, JobContext& context) const {
  checkNotes(notes, source.rows());
  const Architecture& family = *base_->architecture;
  const auto viewOr = [&](const TokenRows& view) -> const TokenRows& {
    return view.rows() == 0 ? source : view;
  };
  const TokenRows& behind = viewOr(notes.views.counterfactual);
  Asked asked;
  asked.scope = decide(viewOr(notes.views.classifier), context);
  for (int64_t b = 0; b < source.rows(); ++b) {
    const bool near = asked.scope.logit[b] > 0.0F;
    const int64_t answer = family.answerKind() == AnswerKind::Continuation ? answer_B[b] : 0;
    const std::vector<int32_t> ids =
        near ? join(asked.scope.selected[b], idsOf(behind, b), positionsOf(family) - answer)
             : idsOf(source, b);
    asked.source.ids.insert(asked.source.ids.end(), ids.begin(), ids.end());
    asked.source.lengths.push_back(static_cast<int32_t>(ids.size()));
    if (source.types.empty()) continue;
    const std::vector<int32_t> types = near ? std::vector<int32_t>(ids.size()) : slice(source, b, 1).types;
    asked.source.types.insert(asked.source.types.end(), types.begin(), types.end());
  }
  return asked;
}

struct NearestSpec {
  std::string encoderDirectory;  // empty: the base
  double threshold = -1;
  int64_t microBatch = 16;
};

NearestSpec readSpec(const Json& json) {
  Options options(json, "editor");
  NearestSpec spec;
  options.choice("kind", {"nearest"});
  options.integer("seed", 0);
  spec.threshold = options.number("threshold", spec.threshold);
  spec.microBatch = options.integer("microBatch", spec.microBatch);
  if (spec.microBatch < 1) {
    fail(ErrorCode::ConfigInvalid,
         "expected a whole number of 1 or more for `editor.microBatch` but received " +
             std::to_string(spec.microBatch));
  }
  Options encoder = options.child("encoder");
  if (encoder.choice("source", {"base", "directory"}, "base") == "directory") {
    spec.encoderDirectory = encoder.string("path");
  }
  encoder.finish();
  options.finish();
  return spec;
}

/// Folders move: another encoder is told by its weights.
Json resolved(const NearestSpec& spec, const Model& encoder) {
  Json::Object kept = {{"kind", "nearest"}, {"threshold", spec.threshold}};
  kept.emplace_back("encoder", spec.encoderDirectory.empty() ? "base" : hex(encoder.weights.checksum()));
  return Json(std::move(kept));
}

class Nearest : public UntrainedEditor {
 public:
  Nearest(const NearestSpec& spec, const Model& encoder, std::shared_ptr<const Model> base)
      : UntrainedEditor("nearest", resolved(spec, encoder), std::move(base)),
        encoder_(std::make_shared<const TextEncoder>(encoder, spec.microBatch)),
        threshold_(spec.threshold) {}

  std::shared_ptr<Scorer> edit(const EditRequests& requests, std::shared_ptr<Scorer> onto,
                               JobContext& context) override {
    const auto* below = editedBelow<NearestScorer>(*onto);
    Neighbours edits = below == nullptr ? Neighbours() : below->edits();
    const int64_t K = requests.editText.rows();
    if (requests.editPrefix.rows() != K) {
      fail(ErrorCode::DataInvalid, "expected one row per edit (" + std::to_string(K) +
                                       ") for `editPrefix` but received " +
                                       std::to_string(requests.editPrefix.rows()));
    }
    if (K > 0) {
      const auto phase = context.phase("edit_encode");
      sourceOf(requests.editPrefix, *base());  // checks the ids
      const at::Tensor direction_KD = encoder_->directions(requests.editText, context);
      const RoleScope role(MemoryRole::EditMemory);
      edits.direction_KD =
          edits.size() == 0 ? direction_KD.clone() : at::cat({edits.direction_KD, direction_KD});
      edits.prefix.ids.insert(edits.prefix.ids.end(), requests.editPrefix.ids.begin(),
                              requests.editPrefix.ids.end());
      edits.prefix.lengths.insert(edits.prefix.lengths.end(), requests.editPrefix.lengths.begin(),
                                  requests.editPrefix.lengths.end());
    }
    return std::make_shared<NearestScorer>(base(), encoder_, threshold_, std::move(edits), madeBy());
  }

 private:
  std::shared_ptr<const TextEncoder> encoder_;
  double threshold_;
};

}  // namespace

std::shared_ptr<Editor> makeNearest(const Json& json, std::shared_ptr<const Model> base) {
  const NearestSpec spec = readSpec(json);
  const Model encoder =
      spec.encoderDirectory.empty() ? *base : loadEncoder(spec.encoderDirectory, base->device);
  return std::make_shared<Nearest>(spec, encoder, std::move(base));
}

}  // namespace seprog
