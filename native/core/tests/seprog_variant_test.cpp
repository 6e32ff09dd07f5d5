// The variants of SEPROG: the tests that their specification asks for (numbered as there), then what else they
// promise.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "core/editors/seprog/soft_gate.h"
#include "seprog_parts.h"

namespace seprog {
namespace {

using namespace tiny;

std::string variant(const std::string& name, const std::string& more = "") {
  return R"(, "variant": ")" + name + "\"" + more;
}

/// An editor of the variant that has restored `trained`.
std::shared_ptr<SeprogEditor> as(const std::string& name, const SeprogEditor& trained,
                                 const std::shared_ptr<const Model>& base) {
  const Folder folder;
  trained.save(folder.path(), false);
  const auto editor = makeEditorOf(base, variant(name));
  editor->restore(folder.path(), false);
  return editor;
}

std::shared_ptr<Scorer> always(SeprogEditor& editor, const EpisodeBatch& batch) {
  auto memory = std::make_shared<EditMemory>(editor.width(), editor.fingerprint());
  memory->add(std::vector<std::string>(batch.editText.rows(), "edit"), editor.embed(batch.editText, quiet));
  return editor.withMemory(memory, "always");
}

/// Logits, scores and answers are the same bits.
void expectSame(const Scorer& one, const Scorer& two, const PairRows& pairs, const GoldEdits& gold = {}) {
  EXPECT_TRUE(at::equal(one.targetLogits(pairs, gold, quiet), two.targetLogits(pairs, gold, quiet)));
  EXPECT_EQ(one.score(pairs, gold, quiet).logProb, two.score(pairs, gold, quiet).logProb);
  EXPECT_EQ(one.generate(pairs.source, gold, {5, true}, quiet).tokens.ids,
            two.generate(pairs.source, gold, {5, true}, quiet).tokens.ids);
}

TensorTable parametersOf(const SeprogEditor& editor) {
  const Folder folder;
  editor.save(folder.path(), false);
  return readSafetensors(folder / "editor.safetensors").tensors;
}

/// A trained editor whose gate lets about half of the batch's rows pass.
struct Half {
  Half() : base(model()), editor(makeEditorOf(base)), batch(episodes(5, 1, 6)) {
    editor->trainStep(batch, 1e-2, quiet);
    Random random(8);
    asked = pairs(random, 12);
    halveScope(*editor, batch, asked.source);
  }
  std::shared_ptr<const Model> base;
  std::shared_ptr<SeprogEditor> editor;
  EpisodeBatch batch;
  PairRows asked;
};

TEST(SeprogVariant, Test1NoSelectIsSeprogWithAnOpenGate) {
  const Half half;
  const auto noselect = as("noselect", *half.editor, half.base);
  const auto open = noselect->edit(requests(half.batch), baseScorer(half.base), quiet);
  const auto gated = half.editor->edit(requests(half.batch), baseScorer(half.base), quiet);
  expectSame(*open, *always(*half.editor, half.batch), half.asked);
  EXPECT_FALSE(at::equal(open->targetLogits(half.asked, quiet), gated->targetLogits(half.asked, quiet)));
  EXPECT_EQ(open->score(half.asked, quiet).scope.logit, gated->score(half.asked, quiet).scope.logit);
}

TEST(SeprogVariant, Test2NoClassifierKnowsNoOtherInputs) {
  const auto base = model();
  EpisodeBatch batch = episodes(5, 2, 3);
  const auto one = makeEditorOf(base, variant("noclassifier")),
             two = makeEditorOf(base, variant("noclassifier", R"(, "lambda": 0.9)"));
  const Figures figures = one->trainStep(batch, 1e-2, quiet);
  EXPECT_EQ(figure(figures, "loss"), figure(figures, "promptLoss"));
  for (const auto& [name, value] : figures) EXPECT_FALSE(name.starts_with("scope")) << name;
  batch.outScope = PairRows();
  two->trainStep(batch, 1e-2, quiet);  // neither those rows nor λ have a say
  EXPECT_EQ(one->fingerprint(), two->fingerprint());
  for (const auto& [name, tensor] : parametersOf(*one)) EXPECT_FALSE(name.starts_with("NN_e")) << name;

  // Every input is prompted, each by itself.
  const auto edited = one->edit(requests(batch), baseScorer(base), quiet);
  Random random(3);
  const PairRows others = pairs(random, 9);
  expectSame(*edited, *always(*one, batch), others);
  const at::Tensor change =
      edited->targetLogits(others, quiet) - baseScorer(base)->targetLogits(others, quiet);
  EXPECT_GT(std::get<0>(change.abs().max(1)).min().item<float>(), 0);
  EXPECT_TRUE(edited->score(others, quiet).scope.logit.empty());
}

TEST(SeprogVariant, Test3JointTuningChangesTheListedMatricesAlone) {
  const auto base = model();
  const uint64_t before = base->weights.checksum();
  const auto editor = makeEditorOf(base, variant("finetune", R"(, "finetuneLearningRate": 1e-3)"));
  const EpisodeBatch batch = episodes(5, 1, 4);
  for (int step = 0; step < 2; ++step) editor->trainStep(batch, 1e-2, quiet);
  EXPECT_EQ(base->weights.checksum(), before);
  std::set<std::string> tuned;
  for (const auto& [name, tensor] : parametersOf(*editor)) {
    if (!name.starts_with(kBasePrefix)) continue;
    tuned.insert(name.substr(kBasePrefix.size()));
    EXPECT_FALSE(at::equal(tensor, base->weights.at(name.substr(kBasePrefix.size())))) << name;
  }
  const std::vector<std::string> listed = base->architecture->editableWeights();
  EXPECT_EQ(tuned, std::set<std::string>(listed.begin(), listed.end()));

  // Rows that are held back get the tuned base's answer; the original one is what they are compared with.
  Random random(8);
  const PairRows asked = pairs(random, 6);
  auto memory = std::make_shared<EditMemory>(editor->width(), editor->fingerprint());
  const auto empty = editor->withMemory(memory, "scope");
  EXPECT_FALSE(at::equal(empty->targetLogits(asked, quiet), baseScorer(base)->targetLogits(asked, quiet)));
  EXPECT_EQ(&empty->base(), base.get());
}

TEST(SeprogVariant, Test3AtTheRateZeroItIsSeprog) {
  const auto base = model();
  const auto plain = makeEditorOf(base),
             tuned = makeEditorOf(base, variant("finetune", R"(, "finetuneLearningRate": 0)"));
  for (uint64_t step = 0; step < 3; ++step) {
    const Figures one = plain->trainStep(episodes(step, 2, 3), 1e-2, quiet);
    EXPECT_EQ(one, tuned->trainStep(episodes(step, 2, 3), 1e-2, quiet));
  }
  const TensorTable parameters = parametersOf(*tuned);
  for (const auto& [name, tensor] : parametersOf(*plain)) {
    EXPECT_TRUE(at::equal(tensor, parameters.at(name))) << name;
  }
  const EpisodeBatch batch = episodes(9, 1, 4);
  expectSame(*plain->edit(requests(batch), baseScorer(base), quiet),
             *tuned->edit(requests(batch), baseScorer(base), quiet), batch.inScope);
}

TEST(SeprogVariant, Test5AnOracleGateDrawsNothingDown) {
  const Half half;
  const auto oracle = as("oraclegate", *half.editor, half.base);
  const auto edited = oracle->edit(requests(half.batch), baseScorer(half.base), quiet);
  const GoldEdits outside(half.asked.rows(), -1), inside(half.asked.rows(), 2);
  expectSame(*edited, *baseScorer(half.base), half.asked, outside);
  for (const float kl : compareScorers(*baseScorer(half.base), *edited, half.asked, outside, quiet)) {
    EXPECT_EQ(kl, 0.0f);
  }
  expectSame(*edited, *always(*half.editor, half.batch), half.asked, inside);
  EXPECT_EQ(edited->score(half.asked, outside, quiet).scope.logit,
            half.editor->edit(requests(half.batch), baseScorer(half.base), quiet)
                ->score(half.asked, quiet)
                .scope.logit);
}

TEST(SeprogVariant, Test6OfOneEditTheOracleKnowsNoMore) {
  const auto base = model();
  const auto editor = makeEditorOf(base);
  const EpisodeBatch one = episodes(5, 1, 1);
  Random random(8);
  const PairRows asked = pairs(random, 9);
  const auto oracle = as("oracleedit", *editor, base);
  const GoldEdits gold(9, 0);
  expectSame(*oracle->edit(requests(one), baseScorer(base), quiet),
             *editor->edit(requests(one), baseScorer(base), quiet), asked, gold);
  expectSame(*always(*oracle, one), *always(*editor, one), asked, gold);

  // Of several it selects the one it is told; rows out of scope attend as usual.
  const EpisodeBatch three = episodes(6, 1, 3);
  const auto told = oracle->edit(requests(three), baseScorer(base), quiet),
             usual = editor->edit(requests(three), baseScorer(base), quiet);
  const GoldEdits mixed = {0, 1, 2, 2, 1, 0, -1, -1, -1};
  const ScopeDecision oracles = told->score(asked, mixed, quiet).scope,
                      own = usual->score(asked, quiet).scope;
  for (size_t b = 0; b < mixed.size(); ++b) {
    EXPECT_EQ(oracles.selected[b], mixed[b] < 0 ? own.selected[b] : mixed[b]);
    if (mixed[b] < 0) {
      EXPECT_EQ(oracles.logit[b], own.logit[b]);
    }
  }
}

TEST(SeprogVariant, Test7VariantsThatTrainAlikeShareCheckpoints) {
  const auto base = model();
  const auto editor = makeEditorOf(base);
  editor->trainStep(episodes(1, 1, 3), 1e-2, quiet);
  for (const char* name : {"noselect", "oraclegate", "oracleedit", "softgate"}) {
    const auto other = as(name, *editor, base);
    EXPECT_EQ(other->fingerprint(), editor->fingerprint()) << name;
    const Folder one, two;
    editor->save(one.path(), false);
    as(name, *other, base)->save(two.path(), false);
    EXPECT_EQ(readSafetensors(one / "editor.safetensors").tensors.size(),
              readSafetensors(two / "editor.safetensors").tensors.size());
  }
  const Folder folder;
  editor->save(folder.path(), false);
  makeEditorOf(base, variant("finetune", R"(, "finetune": "edit_time")"))->restore(folder.path(), false);
  for (const char* name : {"noclassifier", "noatt", "finetune"}) {
    const auto other = makeEditorOf(base, variant(name));
    const std::string fingerprint = other->fingerprint();
    std::string message;
    EXPECT_EQ(codeOf([&] { other->restore(folder.path(), false); }, &message), ErrorCode::CheckpointInvalid);
    EXPECT_NE(message.find("`spec.variant`"), std::string::npos) << message;
    EXPECT_EQ(other->fingerprint(), fingerprint);
    const Folder own;
    other->save(own.path(), false);
    EXPECT_EQ(codeOf([&] { editor->restore(own.path(), false); }), ErrorCode::CheckpointInvalid) << name;
    const auto again = makeEditorOf(base, variant(name));
    again->restore(own.path(), false);
    EXPECT_EQ(again->fingerprint(), fingerprint);
  }
}

TEST(SeprogVariant, TheSoftGateMixesProbabilities) {
  const Half half;
  const auto soft = as("softgate", *half.editor, half.base);
  const auto edited = soft->edit(requests(half.batch), baseScorer(half.base), quiet);
  const at::Tensor prompted =
      at::softmax(always(*half.editor, half.batch)->targetLogits(half.asked, quiet), 1);
  const at::Tensor plain = at::softmax(baseScorer(half.base)->targetLogits(half.asked, quiet), 1);
  const TokenScores scores = edited->score(half.asked, quiet);
  const at::Tensor e_B = at::sigmoid(at::tensor(at::ArrayRef<float>(scores.scope.logit)));
  EXPECT_GT(e_B.std().item<float>(), 0);
  std::vector<int64_t> rowOf;
  for (int64_t b = 0; b < half.asked.rows(); ++b) rowOf.insert(rowOf.end(), half.asked.target.lengths[b], b);
  const at::Tensor e_N1 = e_B.index_select(0, at::tensor(rowOf)).unsqueeze(1);
  const at::Tensor expected = e_N1 * prompted + (1 - e_N1) * plain;
  EXPECT_TRUE(at::allclose(edited->targetLogits(half.asked, quiet).exp(), expected, 1e-4, 1e-6));
  for (size_t n = 0; n < rowOf.size(); ++n) {
    EXPECT_NEAR(std::exp(scores.logProb[n]), expected[n][half.asked.target.ids[n]].item<float>(), 1e-5);
  }
  // Both sides go on with the mixture's own tokens.
  const Generation answer = edited->generate(half.asked.source, {6, true}, quiet);
  EXPECT_EQ(edited->score({half.asked.source, answer.tokens}, quiet).argmax, answer.tokens.ids);
}

TEST(SeprogVariant, ClassesAreMixedToo) {
  const auto base = std::make_shared<const Model>(createModel(bertConfig(), 1, at::kCPU));
  const auto editor = makeEditorOf(base, variant("softgate"));
  EpisodeBatch batch = episodes(5, 1, 4);
  Random random(4);
  batch.inScope.target = batch.edits.target = classes(random, 4, 2);
  editor->trainStep(batch, 1e-2, quiet);
  const auto edited = editor->edit(requests(batch), baseScorer(base), quiet);
  const TokenScores scores = edited->score(batch.inScope, quiet);
  const at::Tensor e_B1 = at::sigmoid(at::tensor(at::ArrayRef<float>(scores.scope.logit))).unsqueeze(1);
  const at::Tensor prompted = at::softmax(always(*editor, batch)->targetLogits(batch.inScope, quiet), 1);
  const at::Tensor plain = at::softmax(baseScorer(base)->targetLogits(batch.inScope, quiet), 1);
  const at::Tensor mixed = edited->targetLogits(batch.inScope, quiet).exp();
  EXPECT_TRUE(at::allclose(mixed, e_B1 * prompted + (1 - e_B1) * plain, 1e-4, 1e-6));
  EXPECT_EQ(edited->generate(batch.inScope.source, {5, true}, quiet).tokens.ids, scores.argmax);
}

TEST(SeprogVariant, TheMixtureHoldsAtTheEndsOfTheGate) {
  const at::Tensor one = at::randn({3, 5}), two = at::randn({3, 5});
  const at::Tensor logit = at::tensor({200.0f, -200.0f, 0.0f});
  const at::Tensor mixed = mixLogProb(one, two, logit);
  EXPECT_TRUE(at::allclose(mixed[0], at::log_softmax(one, 1)[0]));
  EXPECT_TRUE(at::allclose(mixed[1], at::log_softmax(two, 1)[1]));
  EXPECT_TRUE(at::allclose(mixed.exp().sum(1), at::ones({3})));
}

TEST(SeprogVariant, WithoutAttentionEveryEditCountsAlike) {
  const Parts parts(variant("noatt"));
  const at::Tensor b = Random(1, "b").normalTensor({2, 5, 16}, 0, 1);
  const at::Tensor H = Random(1, "H").normalTensor({2, 4, 24}, 0, 1);
  const auto selection = parts.modules.select(b, H);
  EXPECT_TRUE(at::allclose(selection.h_nRH, H.mean(1, true).expand({2, 5, 24}), 0, 1e-6));
  EXPECT_EQ(parts.modules.parameters().count("W_att"), 0u);
  const auto editor = makeEditorOf(parts.base, variant("noatt"));
  const EpisodeBatch batch = episodes(5, 1, 3);
  for (const auto& [name, value] : editor->trainStep(batch, 1e-2, quiet)) EXPECT_NE(name, "selectAccuracy");
  const auto edited = editor->edit(requests(batch), baseScorer(parts.base), quiet);
  EXPECT_EQ(edited->score(batch.inScope, quiet).scope.selected, std::vector<int32_t>(3, -1));
}

TEST(SeprogVariant, AStartFromDataNeedsNoMoreThanTheVariantHas) {
  EpisodeBatch sample = episodes(4, 1, 24);
  sample.editText = sample.inScope.source;  // edits that resemble their inputs
  for (const char* name : {"noclassifier", "noatt", "finetune"}) {
    const auto editor = makeEditorOf(model(), variant(name, R"(, "projectionStart": "whitened")"));
    const std::string before = editor->fingerprint();
    const size_t tensors = parametersOf(*editor).size();
    if (std::string(name) == "noclassifier") sample.outScope = PairRows();
    editor->calibrate(sample, quiet);
    EXPECT_NE(editor->fingerprint(), before) << name;
    EXPECT_EQ(parametersOf(*editor).size(), tensors) << name;
    sample.outScope = episodes(5, 1, 24).outScope;
    editor->trainStep(sample, 1e-2, quiet);
  }
}

TEST(SeprogVariant, OraclesAskForTheTruth) {
  const Half half;
  for (const char* name : {"oraclegate", "oracleedit"}) {
    const auto edited =
        as(name, *half.editor, half.base)->edit(requests(half.batch), baseScorer(half.base), quiet);
    std::string message;
    EXPECT_EQ(codeOf([&] { edited->score(half.asked, quiet); }, &message), ErrorCode::DataInvalid);
    EXPECT_NE(message.find(name), std::string::npos) << message;
    EXPECT_EQ(codeOf([&] { edited->generate(half.asked.source, {2, true}, quiet); }), ErrorCode::DataInvalid);
    for (const GoldEdits& gold : {GoldEdits(11, 0), GoldEdits(13, 0), GoldEdits(12, 6), GoldEdits(12, -2)}) {
      EXPECT_EQ(codeOf([&] { edited->targetLogits(half.asked, gold, quiet); }), ErrorCode::DataInvalid);
    }
  }
  EXPECT_EQ(codeOf([&] { baseScorer(half.base)->score(half.asked, GoldEdits(5, 0), quiet); }),
            ErrorCode::DataInvalid);
}

TEST(SeprogVariant, PromptsKeepThePositionsOfTokensWhereThereAreAny) {
  std::string message;
  EXPECT_EQ(codeOf([&] { makeEditorOf(model(), R"(, "promptPositions": "keep")"); }, &message),
            ErrorCode::ConfigInvalid);
  EXPECT_NE(message.find("`editor.promptPositions`"), std::string::npos) << message;
}

}  // namespace
}  // namespace seprog
