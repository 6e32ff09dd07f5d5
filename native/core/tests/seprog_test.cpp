// SEPROG: the tests that its specification asks for (numbered as there), then the editor's promises.
#include "core/editors/seprog/seprog.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/editors/seprog/edit_encoder.h"
#include "core/editors/seprog/seprog_losses.h"
#include "core/instrument/meter.h"
#include "core/io/atomic_file.h"
#include "core/io/safetensors.h"
#include "core/train/fine_tuner.h"
#include "tiny.h"

namespace seprog {
namespace {

using tiny::codeOf;
using tiny::figure;

JobContext quiet;

/// Modules under test without an editor around them.
struct Parts {
  explicit Parts(const std::string& more = "", uint64_t seed = 1)
      : base(tiny::model(seed)), modules(readSeprogSpec(tiny::spec(more)), encoderOf(*base), *base) {}

  Episodes prepare(const EpisodeBatch& batch) const {
    return prepareEpisodes(batch, *base, modules.editEncoder());
  }
  EpisodeLosses losses(const EpisodeBatch& batch, bool gradients = false) const {
    return episodeLosses(*base, gradients ? modules.tracked() : modules, prepare(batch), gradients, quiet);
  }
  /// The same parts with one tensor replaced.
  Parts with(const std::string& name, const at::Tensor& tensor) const {
    Parts other = *this;
    TensorTable table = modules.parameters();
    table[name] = tensor;
    other.modules = modules.with(std::move(table));
    return other;
  }

  std::shared_ptr<const Model> base;
  SeprogModules modules;
};

std::shared_ptr<SeprogEditor> makeEditorOf(const std::shared_ptr<const Model>& base,
                                           const std::string& more = "") {
  return makeSeprog(tiny::spec(more), base);
}

EditRequests requests(const EpisodeBatch& batch) {
  return {batch.edits, batch.editText, std::vector<std::string>(batch.editText.rows(), "edit")};
}

/// Rewrites one tensor of an editor through its checkpoint.
void rewrite(SeprogEditor& editor, const std::string& name,
             const std::function<at::Tensor(const at::Tensor&)>& change) {
  const tiny::Folder folder;
  editor.save(folder.path(), false);
  TensorTable table = readSafetensors(folder / "editor.safetensors").tensors;
  table[name] = change(table.at(name)).contiguous();
  writeSafetensors(folder / "editor.safetensors", table);
  editor.restore(folder.path(), false);
}

/// Moves the scope logits so that about half of the rows are in scope.
void halveScope(SeprogEditor& editor, const EpisodeBatch& batch, const TokenRows& source) {
  const auto scorer = editor.edit(requests(batch), baseScorer(tiny::model()), quiet);
  std::vector<float> logit = scorer->generate(source, {1, true}, quiet).scope.logit;
  std::sort(logit.begin(), logit.end());
  const float middle = (logit[logit.size() / 2 - 1] + logit[logit.size() / 2]) / 2;
  ASSERT_LT(logit.front(), middle);
  rewrite(editor, "NN_e.2.bias", [&](const at::Tensor& bias) { return bias - middle; });
}

std::vector<TokenRows> split(const TokenRows& rows) {
  std::vector<TokenRows> out;
  for (int64_t b = 0; b < rows.rows(); ++b) out.push_back(slice(rows, b, 1));
  return out;
}

TEST(SeprogSpec, Test1BaseIsUntouchedByTraining) {
  const auto base = tiny::model();
  const uint64_t before = base->weights.checksum();
  const auto editor = makeEditorOf(base);
  for (uint64_t step = 0; step < 3; ++step) editor->trainStep(tiny::episodes(step, 2, 3), 1e-2, quiet);
  EXPECT_EQ(base->weights.checksum(), before);
  for (const auto& [name, tensor] : base->weights.flatten()) {
    EXPECT_FALSE(tensor.requires_grad()) << name;
    EXPECT_FALSE(tensor.grad().defined()) << name;
  }
}

TEST(SeprogSpec, Test2GatedOffRowsAreTheBaseToTheBit) {
  const auto base = tiny::model();
  const auto editor = makeEditorOf(base);
  const EpisodeBatch batch = tiny::episodes(5, 1, 6);
  Random random(8);
  for (const int64_t count : {2, 9, 33}) {
    SCOPED_TRACE(count);
    const PairRows pairs = tiny::pairs(random, count);
    halveScope(*editor, batch, pairs.source);
    const auto plain = baseScorer(base);
    const auto edited = editor->edit(requests(batch), plain, quiet);
    const at::Tensor expected = plain->targetLogits(pairs, quiet);
    const at::Tensor got = edited->targetLogits(pairs, quiet);
    const Generation expectedAnswer = plain->generate(pairs.source, {6, true}, quiet);
    const Generation answer = edited->generate(pairs.source, {6, true}, quiet);
    const TokenScores scores = edited->score(pairs, quiet);
    const TokenScores expectedScores = plain->score(pairs, quiet);
    const std::vector<float> divergence = compareScorers(*plain, *edited, pairs, quiet);
    int64_t off = 0, first = 0;
    bool changed = false;
    const std::vector<TokenRows> answers = split(answer.tokens),
                                 expectedAnswers = split(expectedAnswer.tokens);
    for (int64_t b = 0; b < count; ++b) {
      const int64_t length = pairs.target.lengths[b];
      EXPECT_EQ(scores.scope.logit[b] > 0, answer.scope.logit[b] > 0);
      if (scores.scope.logit[b] > 0) {
        changed = changed || !at::equal(got.narrow(0, first, length), expected.narrow(0, first, length));
      } else {
        ++off;
        EXPECT_TRUE(at::equal(got.narrow(0, first, length), expected.narrow(0, first, length))) << b;
        EXPECT_EQ(answers[b].ids, expectedAnswers[b].ids) << b;
        EXPECT_EQ(scores.rowLoss[b], expectedScores.rowLoss[b]) << b;
        for (int64_t t = 0; t < length; ++t) EXPECT_EQ(divergence[first + t], 0.0f) << b;
      }
      first += length;
    }
    EXPECT_GT(off, 0);
    EXPECT_LT(off, count);
    EXPECT_TRUE(changed) << "no prompt changed a logit";
  }
}

TEST(SeprogSpec, Test3OrderOfEditsDoesNotMatter) {
  const Parts parts;
  const at::Tensor b = Random(1, "b").normalTensor({1, 5, 16}, 0, 1);
  const at::Tensor H = Random(1, "H").normalTensor({1, 4, 24}, 0, 1);
  const at::Tensor order = at::tensor({2, 0, 3, 1}, at::kLong);
  const auto one = parts.modules.select(b, H);
  const auto two = parts.modules.select(b, H.index_select(1, order));
  EXPECT_TRUE(at::allclose(one.alpha_nRK.index_select(2, order), two.alpha_nRK, 0, 1e-6));
  EXPECT_TRUE(at::allclose(one.h_nRH, two.h_nRH, 0, 1e-6));
  EXPECT_TRUE(
      at::allclose(parts.modules.scopeLogit(one.h_nRH, b), parts.modules.scopeLogit(two.h_nRH, b), 0, 1e-6));
  EXPECT_TRUE(
      at::allclose(parts.modules.prompts(one.h_nRH[0]), parts.modules.prompts(two.h_nRH[0]), 0, 1e-6));
}

TEST(SeprogSpec, Test4ARepeatedEditIsOneEdit) {
  const Parts parts;
  const at::Tensor b = Random(1, "b").normalTensor({1, 5, 16}, 0, 1);
  const at::Tensor H = Random(1, "H").normalTensor({1, 1, 24}, 0, 1);
  const auto one = parts.modules.select(b, H);
  const auto many = parts.modules.select(b, H.expand({1, 7, 24}).contiguous());
  EXPECT_TRUE(at::allclose(one.h_nRH, many.h_nRH, 0, 1e-6));
  EXPECT_TRUE(at::allclose(one.alpha_nRK, at::ones({1, 5, 1})));
}

TEST(SeprogSpec, Test5ScopeLossOfUndecidedLogits) {
  const Parts fresh;
  const Parts undecided = fresh.with("NN_e.2.weight", at::zeros({1, 24})).with("NN_e.2.bias", at::zeros({1}));
  const Figures figures = undecided.losses(tiny::episodes(1, 2, 3)).figures;
  EXPECT_NEAR(figure(figures, "scopeLoss"), 2 * std::log(2.0), 1e-6);
  EXPECT_EQ(figure(figures, "scopeAccuracyIn"), 0.0);  // the gate is strict
  EXPECT_EQ(figure(figures, "scopeAccuracyOut"), 1.0);
}

TEST(SeprogSpec, Test6EachLossSeesItsOwnRows) {
  const Parts parts;
  const EpisodeBatch batch = tiny::episodes(1, 2, 3);
  EpisodeBatch otherOut = batch, otherTarget = batch;
  otherOut.outScope = tiny::episodes(2, 2, 3).outScope;
  otherTarget.inScope.target = tiny::episodes(2, 2, 3).inScope.target;
  const Figures one = parts.losses(batch).figures;
  const Figures out = parts.losses(otherOut).figures;
  const Figures target = parts.losses(otherTarget).figures;
  EXPECT_NEAR(figure(one, "promptLoss"), figure(out, "promptLoss"), 1e-6);
  EXPECT_NE(figure(one, "scopeLoss"), figure(out, "scopeLoss"));
  EXPECT_NEAR(figure(one, "scopeLoss"), figure(target, "scopeLoss"), 1e-6);
  EXPECT_NE(figure(one, "promptLoss"), figure(target, "promptLoss"));
}

TEST(SeprogSpec, Test7TeacherForcingAgreesWithPromptedGeneration) {
  const auto base = tiny::model();
  const auto editor = makeEditorOf(base);
  const EpisodeBatch batch = tiny::episodes(4, 1, 8);
  const auto scorer = editor->edit(requests(batch), baseScorer(base), quiet);
  auto memory = std::make_shared<EditMemory>(editor->width(), editor->fingerprint());
  memory->add(std::vector<std::string>(8, "edit"), editor->embed(batch.editText, quiet));
  const auto always = editor->withMemory(memory, "always");
  const Generation generation = always->generate(batch.inScope.source, {6, false}, quiet);
  const TokenScores scores = always->score({batch.inScope.source, generation.tokens}, quiet);
  EXPECT_EQ(scores.argmax, generation.tokens.ids);
}

TEST(SeprogSpec, Test8AnEmptyPromptIsNoPrompt) {
  const auto base = tiny::model();
  const Architecture& family = *base->architecture;
  Random random(3);
  const PairRows pairs = tiny::pairs(random, 5);
  const Encoded encoded = family.encode(base->weights, pad(pairs.source, 0, tiny::kVocabulary, at::kCPU));
  const Targets targets = makeTargets(pairs.target, 0, tiny::kVocabulary, at::kCPU);
  const at::Tensor none = at::zeros({5, 0, family.embeddingWidth()});
  EXPECT_TRUE(at::equal(family.targetLogits(base->weights, encoded, targets, none),
                        family.targetLogits(base->weights, encoded, targets, {})));
}

TEST(SeprogSpec, Test9GradientsAgreeWithFiniteDifferences) {
  const Parts parts;
  const EpisodeBatch batch = tiny::episodes(1, 2, 4);
  const Episodes episodes = parts.prepare(batch);
  const Encoded x = parts.base->architecture->encode(parts.base->weights, episodes.x);
  const SeprogSpec& spec = parts.modules.spec();
  const at::Tensor pr = Random(7).normalTensor({8, 4, 16}, 0, 1);
  const auto loss = [&](const at::Tensor& prompts) {
    return promptLoss(*parts.base, spec, x, episodes, prompts, false, quiet).loss;
  };
  // Along the gradient itself, where the difference is largest against rounding.
  const at::Tensor g =
      promptLoss(*parts.base, spec, x, episodes, pr, true, quiet).gradient_BPD / (1 - spec.lambda);
  const double length = g.norm().item<double>();
  const at::Tensor direction = g / length;
  const double step = 2e-2;
  EXPECT_NEAR((loss(pr + direction * step) - loss(pr - direction * step)) / (2 * step), length,
              5e-3 * length);

  const at::Tensor W = parts.modules.parameters().at("W_att");
  const auto total = [&](const at::Tensor& changed) {
    return figure(parts.with("W_att", changed).losses(batch).figures, "loss");
  };
  const at::Tensor gW = parts.losses(batch, true).gradients.at("W_att");
  const int64_t entry = gW.abs().argmax().item<int64_t>();
  at::Tensor bump = at::zeros_like(W);
  bump.view({-1})[entry] = 0.1;
  const double slope = gW.view({-1})[entry].item<double>();
  EXPECT_NEAR((total(W + bump) - total(W - bump)) / 0.2, slope, 0.02 * std::fabs(slope) + 2e-6);
}

TEST(SeprogSpec, Test10LambdaSwitchesLossesOff) {
  const auto norm = [](const Gradients& gradients, const std::string& prefix) {
    double sum = 0;
    for (const auto& [name, gradient] : gradients) {
      if (name.starts_with(prefix)) sum += gradient.abs().sum().item<double>();
    }
    return sum;
  };
  const EpisodeBatch batch = tiny::episodes(1, 1, 4);
  const Gradients scopeOnly = Parts(R"(, "lambda": 1)").losses(batch, true).gradients;
  EXPECT_EQ(norm(scopeOnly, "NN_prompt."), 0.0);
  EXPECT_GT(norm(scopeOnly, "NN_e."), 0.0);
  const Gradients promptOnly = Parts(R"(, "lambda": 0)").losses(batch, true).gradients;
  EXPECT_EQ(norm(promptOnly, "NN_e."), 0.0);
  EXPECT_GT(norm(promptOnly, "NN_prompt."), 0.0);
  EXPECT_GT(norm(promptOnly, "edit_encoder."), 0.0);
}

TEST(SeprogSpec, Test11EightEditsAreLearntByHeart) {
  // A tiny T5 that knows forty facts; the edits ask for the answers of other facts.
  Json::Object config = tiny::config().object();
  for (auto& [key, value] : config) {
    if (key == "d_model") value = Json(32);
    if (key == "d_ff") value = Json(64);
  }
  Random random(7);
  const PairRows facts = tiny::pairs(random, 40);
  const auto tuner = makeFineTuner(Json(), createModel(Json(config), 1, at::kCPU));
  for (int step = 0; step < 60; ++step) tuner->trainStep(facts, 5e-3, quiet);
  const auto base = std::make_shared<const Model>(tuner->snapshot());
  const auto plain = baseScorer(base);
  EXPECT_GT(figure(tuner->validate(facts, quiet), "rowAccuracy"), 0.9);

  EpisodeBatch batch;
  batch.inScope = {slice(facts.source, 0, 8), slice(facts.target, 8, 8)};
  batch.outScope = {slice(facts.source, 24, 8), slice(facts.target, 24, 8)};
  batch.edits = batch.inScope;
  for (int64_t k = 0; k < 8; ++k) {
    for (const TokenRows& part : {slice(batch.edits.source, k, 1), slice(batch.edits.target, k, 1)}) {
      batch.editText.ids.insert(batch.editText.ids.end(), part.ids.begin(), part.ids.end());
    }
    batch.editText.lengths.push_back(batch.edits.source.lengths[k] + batch.edits.target.lengths[k]);
  }
  const auto editor = makeSeprog(
      Json::parse(R"({"kind": "seprog", "promptLength": 8, "hiddenWidth": 64, "promptInitScale": 15})"),
      base);
  bool learnt = false;
  for (int step = 0; step < 300 && !learnt; ++step) {
    editor->trainStep(batch, 1e-2, quiet);
    const Figures figures = editor->validate(batch, quiet);  // a step's own figures are those before it
    learnt = figure(figures, "rowAccuracy") == 1 && figure(figures, "scopeAccuracyIn") == 1 &&
             figure(figures, "scopeAccuracyOut") == 1;
  }
  EXPECT_TRUE(learnt);
  EXPECT_EQ(figure(editor->validate(batch, quiet), "rowAccuracy"), 1.0);
  const auto edited = editor->edit(requests(batch), plain, quiet);
  const Generation answers = edited->generate(batch.inScope.source, {8, true}, quiet);
  EXPECT_EQ(answers.tokens.ids, batch.inScope.target.ids);
  for (const float logit : answers.scope.logit) EXPECT_GT(logit, 0);
  const Generation others = edited->generate(batch.outScope.source, {8, true}, quiet);
  for (const float logit : others.scope.logit) EXPECT_LE(logit, 0);
  EXPECT_EQ(others.tokens.ids, plain->generate(batch.outScope.source, {8, true}, quiet).tokens.ids);
}

TEST(SeprogSpec, Test12PaddingChangesNothing) {
  const auto base = tiny::model();
  const auto editor = makeEditorOf(base);
  const EpisodeBatch batch = tiny::episodes(4, 1, 3);
  auto memory = std::make_shared<EditMemory>(editor->width(), editor->fingerprint());
  memory->add({"a", "b", "c"}, editor->embed(batch.editText, quiet));
  for (int64_t k = 0; k < 3; ++k) {
    EXPECT_TRUE(at::allclose(editor->embed(slice(batch.editText, k, 1), quiet)[0], memory->embeddings_KH()[k],
                             0, 1e-5));
  }
  const auto always = editor->withMemory(memory, "always");
  Random random(9);
  const TokenRows longSource = tiny::rows(random, 1, 20, 20), longTarget = tiny::rows(random, 1, 9, 9);
  for (int64_t b = 0; b < 3; ++b) {
    const PairRows alone = {slice(batch.inScope.source, b, 1), slice(batch.inScope.target, b, 1)};
    PairRows padded = alone;
    for (const auto& [side, more] :
         {std::pair(&padded.source, &longSource), std::pair(&padded.target, &longTarget)}) {
      side->ids.insert(side->ids.end(), more->ids.begin(), more->ids.end());
      side->lengths.push_back(more->lengths[0]);
    }
    const TokenScores one = always->score(alone, quiet), two = always->score(padded, quiet);
    EXPECT_NEAR(one.rowLoss[0], two.rowLoss[0], 1e-4);
    EXPECT_NEAR(one.scope.logit[0], two.scope.logit[0], 1e-5);
  }
}

TEST(Seprog, PackedEpisodesDoNotSeeEachOther) {
  const Parts parts;
  const EpisodeBatch one = tiny::episodes(1, 1, 3), two = tiny::episodes(2, 1, 3);
  const auto join = [](const TokenRows& a, const TokenRows& b) {
    TokenRows out = a;
    out.ids.insert(out.ids.end(), b.ids.begin(), b.ids.end());
    out.lengths.insert(out.lengths.end(), b.lengths.begin(), b.lengths.end());
    return out;
  };
  EpisodeBatch both;
  both.episodes = 2;
  both.editText = join(one.editText, two.editText);
  both.inScope = {join(one.inScope.source, two.inScope.source), join(one.inScope.target, two.inScope.target)};
  both.outScope.source = join(one.outScope.source, two.outScope.source);
  const Figures a = parts.losses(one).figures, b = parts.losses(two).figures, ab = parts.losses(both).figures;
  EXPECT_NEAR(figure(ab, "scopeLoss"), (figure(a, "scopeLoss") + figure(b, "scopeLoss")) / 2, 1e-5);
  const auto n = [](const EpisodeBatch& batch) {
    return static_cast<double>(batch.inScope.target.ids.size());
  };
  EXPECT_NEAR(figure(ab, "promptLoss"),
              (figure(a, "promptLoss") * n(one) + figure(b, "promptLoss") * n(two)) / (n(one) + n(two)),
              1e-5);
  EXPECT_NEAR(figure(ab, "selectAccuracy"), (figure(a, "selectAccuracy") + figure(b, "selectAccuracy")) / 2,
              1e-9);
}

TEST(Seprog, EqualInputsMayStandInBothScopes) {
  const Parts parts;
  EpisodeBatch batch = tiny::episodes(1, 1, 3);
  batch.outScope.source = batch.inScope.source;
  const Episodes episodes = parts.prepare(batch);
  EXPECT_EQ(episodes.x.rows(), 3);
  EXPECT_TRUE(at::equal(episodes.inScope_B, episodes.outScope_B));
  EXPECT_NEAR(figure(parts.losses(batch).figures, "scopeAccuracyIn") +
                  figure(parts.losses(batch).figures, "scopeAccuracyOut"),
              1.0, 1e-9);
}

TEST(Seprog, ManyRowGroupsGiveTheGradientOfOne) {
  // A wide model makes the decoder run in several groups of rows; the reference is one plain graph over all
  // of them.
  Json::Object wide = tiny::config().object();
  for (auto& [key, value] : wide) {
    if (key == "d_model") value = Json(512);
  }
  const auto base = std::make_shared<const Model>(createModel(Json(wide), 1, at::kCPU));
  const SeprogModules modules(readSeprogSpec(tiny::spec(R"(, "promptReduction": "sequence")")),
                              encoderOf(*base), *base);
  const int64_t rows = 160;
  const Episodes episodes = prepareEpisodes(tiny::episodes(1, 1, rows), *base, modules.editEncoder());
  const Encoded x = base->architecture->encode(base->weights, episodes.x);
  const at::Tensor pr = Random(7).normalTensor({rows, 4, 512}, 0, 1);
  const PromptLoss grouped = promptLoss(*base, modules.spec(), x, episodes, pr, true, quiet);

  const at::Tensor leaf = pr.clone().set_requires_grad(true);
  const Targets targets = makeTargets(episodes.target, 0, tiny::kVocabulary, at::kCPU);
  const at::Tensor logits =
      base->architecture->targetLogits(base->weights, x.select(episodes.inScope_B), targets, leaf);
  const at::Tensor loss =
      at::nll_loss(at::log_softmax(logits, 1), targets.labels_N, {}, at::Reduction::Sum) / rows;
  loss.backward();
  EXPECT_NEAR(grouped.loss, loss.item<double>(), 1e-4);
  const at::Tensor expected = leaf.grad() * (1 - modules.spec().lambda);
  EXPECT_TRUE(at::allclose(grouped.gradient_BPD, expected, 1e-3, 1e-5 * expected.abs().max().item<double>()));
}

TEST(Seprog, AnEmptyMemoryAnswersAsTheBase) {
  const auto base = tiny::model();
  const auto editor = makeEditorOf(base);
  auto memory = std::make_shared<EditMemory>(editor->width(), editor->fingerprint());
  Random random(2);
  const PairRows pairs = tiny::pairs(random, 7);
  for (const char* gate : {"scope", "always"}) {
    const auto scorer = editor->withMemory(memory, gate);
    EXPECT_TRUE(at::equal(scorer->targetLogits(pairs, quiet), baseScorer(base)->targetLogits(pairs, quiet)));
    const Generation answers = scorer->generate(pairs.source, {5, true}, quiet);
    EXPECT_EQ(answers.tokens.ids, baseScorer(base)->generate(pairs.source, {5, true}, quiet).tokens.ids);
    EXPECT_EQ(answers.scope.selected, std::vector<int32_t>(7, -1));
    EXPECT_EQ(answers.scope.logit, std::vector<float>(7, -std::numeric_limits<float>::infinity()));
  }
}

TEST(Seprog, ScorersSeeTheirMemoryLive) {
  const auto base = tiny::model();
  const auto editor = makeEditorOf(base);
  const EpisodeBatch batch = tiny::episodes(4, 1, 3);
  auto memory = std::make_shared<EditMemory>(editor->width(), editor->fingerprint());
  const auto scorer = editor->withMemory(memory, "always");
  const at::Tensor empty = scorer->targetLogits(batch.inScope, quiet);
  memory->add({"a", "b", "c"}, editor->embed(batch.editText, quiet));
  const at::Tensor full = scorer->targetLogits(batch.inScope, quiet);
  EXPECT_FALSE(at::equal(empty, full));
  memory->remove({1, 2, 3});
  EXPECT_TRUE(at::equal(scorer->targetLogits(batch.inScope, quiet), empty));
}

TEST(Seprog, EditsStackOnACopyOfTheMemory) {
  const auto base = tiny::model();
  const auto editor = makeEditorOf(base);
  const EpisodeBatch first = tiny::episodes(4, 1, 3), second = tiny::episodes(5, 1, 2);
  const auto one = editor->edit(requests(first), baseScorer(base), quiet);
  const auto selected = [&](const std::shared_ptr<Scorer>& scorer, const EpisodeBatch& asked) {
    return scorer->generate(asked.inScope.source, {1, true}, quiet).scope;
  };
  const std::vector<float> before = selected(one, first).logit;
  const auto two = editor->edit(requests(second), one, quiet);
  EXPECT_EQ(selected(one, first).logit, before);
  EXPECT_NE(selected(two, first).logit, before);
}

TEST(Seprog, EditsOnlyWhatItCan) {
  const auto base = tiny::model();
  const auto editor = makeEditorOf(base), other = makeEditorOf(base, R"(, "lambda": 0.5)");
  const EpisodeBatch batch = tiny::episodes(4, 1, 3);
  rewrite(*other, "b_o", [](const at::Tensor& b) { return b + 1; });
  const auto ofOther = other->edit(requests(batch), baseScorer(base), quiet);
  EXPECT_EQ(codeOf([&] { editor->edit(requests(batch), ofOther, quiet); }), ErrorCode::Unsupported);
  EXPECT_EQ(codeOf([&] { editor->edit(requests(batch), baseScorer(tiny::model(2)), quiet); }),
            ErrorCode::Unsupported);
  EXPECT_NO_THROW(
      editor->edit(requests(batch), baseScorer(tiny::model()), quiet));  // the same weights, loaded twice
  class Overlay : public Scorer {
   public:
    explicit Overlay(const Model& model) : model_(model) {}
    const Model& base() const override { return model_; }
    TokenScores score(const PairRows&, JobContext&) const override { return {}; }
    at::Tensor targetLogits(const PairRows&, JobContext&) const override { return {}; }
    Generation generate(const TokenRows&, const GenerateOptions&, JobContext&) const override { return {}; }

   private:
    const Model& model_;
  };
  EXPECT_EQ(codeOf([&] { editor->edit(requests(batch), std::make_shared<Overlay>(*base), quiet); }),
            ErrorCode::Unsupported);
  EditRequests unlabelled = requests(batch);
  unlabelled.labels.pop_back();
  EXPECT_EQ(codeOf([&] { editor->edit(unlabelled, baseScorer(base), quiet); }), ErrorCode::DataInvalid);
  const auto foreign = std::make_shared<EditMemory>(editor->width(), "0123456789abcdef");
  EXPECT_EQ(codeOf([&] { editor->withMemory(foreign, "scope"); }), ErrorCode::Unsupported);
  const auto own = std::make_shared<EditMemory>(editor->width(), editor->fingerprint());
  EXPECT_EQ(codeOf([&] { editor->withMemory(own, "sometimes"); }), ErrorCode::ConfigInvalid);
}

TEST(Seprog, TrainingDoesNotChangeScorersAlreadyMade) {
  const auto base = tiny::model();
  const auto editor = makeEditorOf(base);
  const EpisodeBatch batch = tiny::episodes(4, 1, 3);
  const auto scorer = editor->edit(requests(batch), baseScorer(base), quiet);
  const at::Tensor before = scorer->targetLogits(batch.inScope, quiet);
  const std::string fingerprint = editor->fingerprint();
  editor->trainStep(batch, 1e-2, quiet);
  EXPECT_NE(editor->fingerprint(), fingerprint);
  EXPECT_TRUE(at::equal(scorer->targetLogits(batch.inScope, quiet), before));
}

TEST(Seprog, TrainingBehindACalibrationDoesNotChangeThemEither) {
  const auto base = tiny::model();
  const auto editor = makeEditorOf(base, R"(, "projectionStart": "whitened")");
  EpisodeBatch batch = tiny::episodes(4, 1, 12);
  batch.editText = batch.inScope.source;  // edits that resemble their inputs
  const auto scorer = editor->edit(requests(batch), baseScorer(base), quiet);
  const at::Tensor before = scorer->targetLogits(batch.inScope, quiet);
  editor->calibrate(batch, quiet);
  editor->trainStep(batch, 1e-2, quiet);
  EXPECT_TRUE(at::equal(scorer->targetLogits(batch.inScope, quiet), before));
}

TEST(Seprog, ResumesToTheSameBits) {
  const auto base = tiny::model();
  const tiny::Folder folder;
  const auto whole = makeEditorOf(base);
  for (uint64_t step = 0; step < 6; ++step) whole->trainStep(tiny::episodes(step, 2, 3), 1e-2, quiet);
  const auto first = makeEditorOf(base);
  for (uint64_t step = 0; step < 3; ++step) first->trainStep(tiny::episodes(step, 2, 3), 1e-2, quiet);
  first->save(folder.path(), true);
  const auto second = makeEditorOf(base, R"(, "promptInitScale": 3)");
  second->restore(folder.path(), true);
  for (uint64_t step = 3; step < 6; ++step) second->trainStep(tiny::episodes(step, 2, 3), 1e-2, quiet);
  EXPECT_EQ(second->fingerprint(), whole->fingerprint());
}

TEST(Seprog, TheSameSeedGivesTheSameBits) {
  const auto base = tiny::model();
  EXPECT_EQ(makeEditorOf(base)->fingerprint(), makeEditorOf(base)->fingerprint());
  const Parts one, two(R"(, "promptInitScale": 2)");
  EXPECT_TRUE(at::allclose(one.modules.parameters().at("NN_prompt.1.weight") * 2,
                           two.modules.parameters().at("NN_prompt.1.weight")));
}

TEST(Seprog, FirstPromptsLookLikeTokens) {
  const Parts parts(R"(, "frequentIds": 10)");
  const at::Tensor rows = parts.modules.parameters().at("NN_prompt.1.bias").view({4, 16});
  const at::Tensor table = parts.base->weights.at("shared.weight").narrow(0, 2, 10);
  const at::Tensor distance = at::cdist(rows, table);
  EXPECT_TRUE(at::allclose(std::get<0>(distance.min(1)), at::zeros({4}), 0, 1e-4));
  EXPECT_EQ(std::get<0>(at::_unique(std::get<1>(distance.min(1)))).numel(), 4);  // drawn without repetition
  const double rms = parts.base->weights.at("shared.weight").pow(2).mean().sqrt().item<double>();
  EXPECT_NEAR(parts.modules.parameters().at("NN_prompt.1.weight").std().item<double>(), 0.02 * rms,
              0.002 * rms);
  const at::Tensor W = parts.modules.parameters().at("W_att");
  EXPECT_LE(W.abs().max().item<double>(), 0.25);  // 1/√16
  EXPECT_GT(W.abs().max().item<double>(), 0.2);
}

TEST(Seprog, CancelLeavesEverythingAsItWas) {
  const auto base = tiny::model();
  const auto editor = makeEditorOf(base), reference = makeEditorOf(base);
  const EpisodeBatch batch = tiny::episodes(4, 1, 3);
  const tiny::Folder before, after;
  editor->trainStep(batch, 1e-2, quiet);
  reference->trainStep(batch, 1e-2, quiet);
  editor->save(before.path(), true);
  JobContext cancelled(std::make_shared<std::atomic<bool>>(true));
  EXPECT_EQ(codeOf([&] { editor->trainStep(batch, 1e-2, cancelled); }), ErrorCode::Aborted);
  editor->save(after.path(), true);
  for (const char* file : {"editor.safetensors", "optimizer.safetensors", "editor.json"}) {
    EXPECT_EQ(readFile(before / file), readFile(after / file)) << file;
  }
  editor->trainStep(batch, 1e-2, quiet);
  reference->trainStep(batch, 1e-2, quiet);
  EXPECT_EQ(editor->fingerprint(), reference->fingerprint());
}

TEST(Seprog, NonFiniteLossesAndGradientsChangeNothing) {
  const auto base = tiny::model();
  const EpisodeBatch batch = tiny::episodes(4, 1, 3);
  const auto refused = [&](const std::string& name, double value, const std::string& wanted) {
    const auto editor = makeEditorOf(base);
    rewrite(*editor, name, [&](const at::Tensor& t) { return at::full_like(t, value); });
    const std::string fingerprint = editor->fingerprint();
    std::string message;
    EXPECT_EQ(codeOf([&] { editor->trainStep(batch, 1e-2, quiet); }, &message), ErrorCode::NonFinite) << name;
    EXPECT_NE(message.find(wanted), std::string::npos) << message;
    EXPECT_EQ(editor->fingerprint(), fingerprint);
  };
  const double infinity = std::numeric_limits<double>::infinity();
  refused("NN_e.2.bias", infinity, "`scopeLoss`");
  refused("NN_prompt.1.bias", infinity, "`promptLoss`");

  // Logits that are finite in front of weights whose product is not.
  const auto editor = makeEditorOf(base);
  for (const auto& [name, value] : std::vector<std::pair<std::string, double>>{{"NN_e.0.weight", 0},
                                                                               {"NN_e.0.bias", 1e-30},
                                                                               {"NN_e.1.weight", 1e38},
                                                                               {"NN_e.1.bias", 0},
                                                                               {"NN_e.2.weight", 1e20}}) {
    rewrite(*editor, name, [&](const at::Tensor& t) { return at::full_like(t, value); });
  }
  const std::string fingerprint = editor->fingerprint();
  std::string message;
  EXPECT_EQ(codeOf([&] { editor->trainStep(batch, 1e-2, quiet); }, &message), ErrorCode::NonFinite);
  EXPECT_NE(message.find("`gradNorm`"), std::string::npos) << message;
  EXPECT_EQ(editor->fingerprint(), fingerprint);
}

TEST(Seprog, RefusesEpisodesThatDoNotFit) {
  const auto editor = makeEditorOf(tiny::model());
  const std::string fingerprint = editor->fingerprint();
  const auto code = [&](const std::function<void(EpisodeBatch&)>& spoil) {
    EpisodeBatch batch = tiny::episodes(1, 2, 3);
    spoil(batch);
    return codeOf([&] { editor->trainStep(batch, 1e-2, quiet); });
  };
  EXPECT_EQ(code([](EpisodeBatch& b) { b.episodes = 4; }), ErrorCode::DataInvalid);
  EXPECT_EQ(code([](EpisodeBatch& b) { b.episodes = 0; }), ErrorCode::DataInvalid);
  EXPECT_EQ(code([](EpisodeBatch& b) { b.outScope.source = slice(b.outScope.source, 0, 5); }),
            ErrorCode::DataInvalid);
  EXPECT_EQ(code([](EpisodeBatch& b) { b.inScope.target = slice(b.inScope.target, 0, 5); }),
            ErrorCode::DataInvalid);
  EXPECT_EQ(code([](EpisodeBatch& b) { b.editText.ids[0] = tiny::kVocabulary; }), ErrorCode::DataInvalid);
  EXPECT_EQ(code([](EpisodeBatch& b) { b.inScope.source.ids[0] = -1; }), ErrorCode::DataInvalid);
  EXPECT_EQ(code([](EpisodeBatch& b) { b.outScope.source.lengths[0] += 1; }), ErrorCode::DataInvalid);
  EXPECT_EQ(code([](EpisodeBatch& b) {
              b.inScope.target.ids.clear();
              b.inScope.target.lengths.assign(6, 0);
            }),
            ErrorCode::DataInvalid);
  EXPECT_EQ(editor->fingerprint(), fingerprint);
}

TEST(Seprog, RefusesCheckpointsOfOthers) {
  const auto base = tiny::model();
  const auto editor = makeEditorOf(base);
  const std::string fingerprint = editor->fingerprint();
  const auto code = [&](const std::string& folder) {
    return codeOf([&] { editor->restore(folder, false); });
  };
  const tiny::Folder sizes, bases, torn, empty;
  makeEditorOf(base, R"(, "scopeHead": "two_layer")")->save(sizes.path(), false);
  EXPECT_EQ(code(sizes.path()), ErrorCode::CheckpointInvalid);
  makeEditorOf(tiny::model(2))->save(bases.path(), false);
  EXPECT_EQ(code(bases.path()), ErrorCode::CheckpointInvalid);
  EXPECT_EQ(code(empty.path()), ErrorCode::CheckpointInvalid);
  editor->save(torn.path(), false);
  const std::string whole = readFile(torn / "editor.safetensors");
  writeFileAtomic(torn / "editor.safetensors", whole.substr(0, whole.size() / 2));
  EXPECT_EQ(code(torn.path()), ErrorCode::CheckpointInvalid);
  EXPECT_EQ(codeOf([&] { editor->restore(torn.path(), true); }), ErrorCode::CheckpointInvalid);
  EXPECT_EQ(editor->fingerprint(), fingerprint);
}

TEST(Seprog, OptionsAreDecodedOnceAndStrictly) {
  const auto base = tiny::model();
  const auto message = [&](const std::string& more) {
    std::string text;
    EXPECT_EQ(codeOf([&] { makeEditor(tiny::spec(more), base); }, &text), ErrorCode::ConfigInvalid) << more;
    return text;
  };
  EXPECT_NE(message(R"(, "lambda": 2)").find("`editor.lambda`"), std::string::npos);
  EXPECT_NE(message(R"(, "lamda": 0.3)").find("`editor.lamda`"), std::string::npos);
  EXPECT_NE(message(R"(, "promptPositions": "keep")").find("`editor.promptPositions`"), std::string::npos);
  EXPECT_NE(message(R"(, "editEncoder": {"source": "directory"})").find("`editor.editEncoder.path`"),
            std::string::npos);
  EXPECT_EQ(codeOf([&] { makeEditor(Json::parse(R"({"kind": "magic"})"), base); }), ErrorCode::ConfigInvalid);
  for (const char* more : {R"(, "basePool": "first")", R"(, "basePool": "last")", R"(, "editPool": "first")",
                           R"(, "editActivation": "tanh")", R"(, "scopeHead": "two_layer")",
                           R"(, "promptReduction": "sequence")"}) {
    const auto editor = makeEditor(tiny::spec(more), base);
    EXPECT_GT(figure(editor->trainStep(tiny::episodes(1, 1, 3), 1e-2, quiet), "gradNorm"), 0) << more;
  }
}

TEST(Seprog, PhasesOfTrainingAndInferenceHaveTheirNames) {
  const auto editor = makeEditorOf(tiny::model());
  const EpisodeBatch batch = tiny::episodes(1, 1, 3);
  const auto phasesOf = [](const std::function<void(JobContext&)>& work) {
    Meter meter(at::kCPU);
    JobContext context(nullptr, &meter);
    work(context);
    std::vector<std::string> names;
    for (const PhaseRecord& phase : meter.finish().phases) names.push_back(phase.name);
    std::sort(names.begin(), names.end());
    return names;
  };
  EXPECT_EQ(phasesOf([&](JobContext& context) { editor->trainStep(batch, 1e-2, context); }),
            (std::vector<std::string>{"backward", "base_encode", "edit_encode", "prompt_forward",
                                      "scope_loss", "select", "update"}));
  auto memory = std::make_shared<EditMemory>(editor->width(), editor->fingerprint());
  memory->add({"a", "b", "c"}, editor->embed(batch.editText, quiet));
  const auto always = editor->withMemory(memory, "always");
  EXPECT_EQ(phasesOf([&](JobContext& context) {
              always->generate(batch.inScope.source, {3, true}, context);
            }),
            (std::vector<std::string>{"classify", "decode", "encode", "prompt", "retrieve"}));
}

TEST(Seprog, ValidationIsTheLossOfTheNextStep) {
  const auto editor = makeEditorOf(tiny::model());
  const EpisodeBatch batch = tiny::episodes(1, 2, 3);
  const std::string fingerprint = editor->fingerprint();
  const Figures validated = editor->validate(batch, quiet);
  EXPECT_EQ(editor->fingerprint(), fingerprint);
  const Figures trained = editor->trainStep(batch, 1e-2, quiet);
  for (const auto& [name, value] : validated) EXPECT_NEAR(figure(trained, name), value, 1e-5) << name;
}

}  // namespace
}  // namespace seprog
