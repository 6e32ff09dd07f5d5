// SEPROG: what its training promises.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/instrument/meter.h"
#include "core/io/atomic_file.h"
#include "seprog_parts.h"

namespace seprog {
namespace {

using namespace tiny;

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
  const PromptLoss grouped = promptLoss(*base, modules.spec(), x, episodes, pr, {}, true, quiet);

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
