// SEPROG: the tests that its specification asks for, numbered as there.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/train/fine_tuner.h"
#include "seprog_parts.h"

namespace seprog {
namespace {

using namespace tiny;

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
    const std::vector<float> divergence = compareScorers(*plain, *edited, pairs, {}, quiet);
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
  const auto one = parts.modules.select(b, H, {.alpha = true});
  const auto two = parts.modules.select(b, H.index_select(1, order), {.alpha = true});
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
  const auto one = parts.modules.select(b, H, {.alpha = true});
  const auto many = parts.modules.select(b, H.expand({1, 7, 24}).contiguous(), {.alpha = true});
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
    return promptLoss(*parts.base, spec, x, episodes, prompts, {}, false, quiet).loss;
  };
  // Along the gradient itself, where the difference is largest against rounding.
  const at::Tensor g =
      promptLoss(*parts.base, spec, x, episodes, pr, {}, true, quiet).gradient_BPD / (1 - spec.lambda);
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

}  // namespace
}  // namespace seprog
