// A base that is tuned: together with SEPROG's modules, and anew for every set of edits.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "core/editors/seprog/edit_time_fit.h"
#include "core/train/edit_loss.h"
#include "core/train/inner_fit.h"
#include "core/train/rmsprop.h"
#include "seprog_parts.h"

namespace seprog {
namespace {

using namespace tiny;

constexpr const char* kJoint = R"(, "variant": "finetune", "finetuneLearningRate": 1e-3)";

/// The losses of a batch as one plain graph over everything, and its gradients.
Gradients plainGradients(const Model& base, const SeprogModules& modules, const Episodes& episodes) {
  const Model tuned = modules.tuned(base);
  const Architecture& family = *tuned.architecture;
  const Encoded x = family.encode(tuned.weights, episodes.x);
  const at::Tensor b = pool(x.h_BSD, episodes.x, modules.spec().basePool);
  const at::Tensor H = modules.embedEdits(episodes.z).unsqueeze(0);
  const auto side = [&](const at::Tensor& rows) {
    const at::Tensor own = b.index_select(0, rows);
    const at::Tensor h = modules.select(own.unsqueeze(0), H).h_nRH.squeeze(0);
    return std::pair(h, modules.scopeLogit(h, own));
  };
  const auto [hIn, in] = side(episodes.inScope_B);
  const auto [hOut, out] = side(episodes.outScope_B);
  const at::Tensor L_sc = -at::log_sigmoid(in).mean() - at::log_sigmoid(-out).mean();
  const Targets targets = targetsFor(family, episodes.target, at::kCPU);
  const at::Tensor logits = family.targetLogits(tuned.weights, x.select(episodes.inScope_B), targets,
                                                modules.promptOf(modules.prompts(hIn)));
  const at::Tensor L_pg = at::nll_loss(at::log_softmax(logits, 1), targets.labels_N);
  const double lambda = modules.spec().lambda;
  std::vector<at::Tensor> leaves;
  for (const auto& [name, leaf] : modules.parameters()) leaves.push_back(leaf);
  const auto gradients =
      torch::autograd::grad({lambda * L_sc + (1 - lambda) * L_pg}, leaves, {}, std::nullopt, false, true);
  Gradients named;
  size_t next = 0;
  for (const auto& [name, leaf] : modules.parameters()) {
    if (gradients[next].defined()) named.emplace(name, gradients[next]);
    ++next;
  }
  return named;
}

void expectJointGradients(const Json& config, const EpisodeBatch& batch, const std::string& more) {
  const auto base = std::make_shared<const Model>(createModel(config, 1, at::kCPU));
  const SeprogModules modules =
      SeprogModules(readSeprogSpec(spec(kJoint + more)), encoderOf(*base), *base).tracked();
  const Episodes episodes = prepareEpisodes(batch, *base, modules.editEncoder());
  const Gradients expected = plainGradients(*base, modules, episodes);
  const Gradients got = episodeLosses(*base, modules, episodes, true, quiet).gradients;
  EXPECT_GT(globalNorm(got), 0);
  int64_t ofBase = 0;
  for (const auto& [name, gradient] : expected) {
    ASSERT_EQ(got.count(name), 1u) << name;
    const double size = gradient.abs().max().item<double>();
    EXPECT_TRUE(at::allclose(got.at(name), gradient, 1e-3, 1e-4 * size + 1e-7)) << name;
    if (name.starts_with(kBasePrefix)) ofBase += size > 0;
  }
  EXPECT_EQ(got.size(), expected.size());
  EXPECT_GE(ofBase, static_cast<int64_t>(base->architecture->editableWeights().size()));
}

/// Rows enough for several groups of the decoder.
EpisodeBatch manyRows() {
  EpisodeBatch batch = episodes(3, 1, 40);
  batch.outScope.source = batch.inScope.source;  // rows of the encoder that serve twice
  return batch;
}

TEST(BaseTuning, JointGradientsAreThoseOfOneGraph) { expectJointGradients(config(), manyRows(), ""); }
TEST(BaseTuning, JointGradientsOfAllWeightsToo) {
  expectJointGradients(config(), manyRows(), R"(, "finetuneParameters": "all")");
}
TEST(BaseTuning, JointGradientsInSeveralGroupsOfRows) {
  Json::Object wide = config().object();
  for (auto& [key, value] : wide) {
    if (key == "d_model") value = Json(1024);
  }
  expectJointGradients(Json(wide), manyRows(), "");
}

TEST(BaseTuning, JointGradientsOfAClassifier) {
  for (const Json& config : {bertConfig(), distilbertConfig()}) {
    EpisodeBatch batch = episodes(3, 1, 6);
    Random random(4);
    batch.inScope.target = batch.edits.target = classes(random, 6, 2);
    expectJointGradients(config, batch, "");
    expectJointGradients(config, batch, R"(, "finetuneParameters": "all")");
  }
}

TEST(BaseTuning, TheBaseHasARateOfItsOwn) {
  const auto base = model();
  const EpisodeBatch batch = episodes(5, 1, 4);
  const std::string matrix = base->architecture->editableWeights().front();
  const auto moved = [&](const StepRate& rate) {
    const auto editor = makeEditorOf(base, kJoint);
    editor->trainStep(batch, rate, quiet);
    const Folder folder;
    editor->save(folder.path(), false);
    const at::Tensor after = readSafetensors(folder / "editor.safetensors").tensors.at("base." + matrix);
    return (after - base->weights.at(matrix)).abs().max().item<double>();
  };
  // Adam's first step moves a weight by its rate.
  EXPECT_NEAR(moved(1e-2), 1e-3, 1e-5);
  EXPECT_NEAR(moved({1e-2, 0.25}), 0.25e-3, 1e-5);
  EXPECT_EQ(codeOf([&] { moved({1e-2, -1}); }), ErrorCode::DataInvalid);
}

TEST(BaseTuning, JointTrainingResumesToTheSameBits) {
  const auto base = model();
  const Folder folder;
  const auto whole = makeEditorOf(base, kJoint), first = makeEditorOf(base, kJoint),
             second = makeEditorOf(base, kJoint);
  for (uint64_t step = 0; step < 4; ++step) whole->trainStep(episodes(step, 1, 3), 1e-2, quiet);
  for (uint64_t step = 0; step < 2; ++step) first->trainStep(episodes(step, 1, 3), 1e-2, quiet);
  first->save(folder.path(), true);
  second->restore(folder.path(), true);
  for (uint64_t step = 2; step < 4; ++step) second->trainStep(episodes(step, 1, 3), 1e-2, quiet);
  EXPECT_EQ(second->fingerprint(), whole->fingerprint());
}

std::string editTime(const std::string& rate, int steps = 100) {
  return R"(, "variant": "finetune", "finetune": "edit_time", "finetuneLearningRate": )" + rate +
         R"(, "finetuneSteps": )" + std::to_string(steps);
}

TEST(BaseTuning, EditsAreFittedOnAnOverlay) {
  const auto base = model();
  const uint64_t before = base->weights.checksum();
  const auto editor = makeEditorOf(base, editTime("1e-3"));
  const std::string fingerprint = editor->fingerprint();
  const EpisodeBatch A = episodes(5, 1, 4), B = episodes(6, 1, 4);
  const auto a = editor->edit(requests(A), baseScorer(base), quiet);
  EXPECT_EQ(base->weights.checksum(), before);
  EXPECT_EQ(editor->fingerprint(), fingerprint);
  EXPECT_EQ(figure(a->editFigures(), "editAccuracy"), 1);
  EXPECT_EQ(figure(a->editFigures(), "stoppedByLimit"), 0);
  EXPECT_LT(figure(a->editFigures(), "steps"), 100);
  EXPECT_GT(figure(a->editFigures(), "steps"), 0);
  EXPECT_GT(figure(a->editFigures(), "residualNorm"), 0);
  // Nothing of A is left when B is edited.
  const auto b = editor->edit(requests(B), baseScorer(base), quiet);
  const auto alone = makeEditorOf(base, editTime("1e-3"))->edit(requests(B), baseScorer(base), quiet);
  EXPECT_TRUE(at::equal(b->targetLogits(B.edits, quiet), alone->targetLogits(B.edits, quiet)));
  EXPECT_FALSE(at::equal(a->targetLogits(B.edits, quiet), alone->targetLogits(B.edits, quiet)));
}

TEST(BaseTuning, OnlyListedMatricesAreFitted) {
  const auto base = model();
  const SeprogModules modules(readSeprogSpec(spec(editTime("1e-3", 3))), encoderOf(*base), *base);
  const EpisodeBatch batch = episodes(5, 1, 4);
  const at::Tensor H = modules.embedEdits(pad(batch.editText, 0, kVocabulary, at::kCPU)).detach();
  const EditTimeFit fit = fitToEdits(*base, modules, H, batch.edits, quiet);
  EXPECT_EQ(figure(fit.figures, "steps"), 3);
  EXPECT_EQ(figure(fit.figures, "stoppedByLimit"), 1);
  const std::vector<std::string> listed = base->architecture->editableWeights();
  for (const auto& [name, tensor] : base->weights.flatten()) {
    const bool isListed = std::find(listed.begin(), listed.end(), name) != listed.end();
    EXPECT_EQ(at::equal(tensor, fit.model.weights.at(name)), !isListed) << name;
  }
}

TEST(BaseTuning, FittedModelsTakeNoFurtherEdits) {
  const auto base = model();
  const auto editor = makeEditorOf(base, editTime("1e-3", 2));
  const EpisodeBatch batch = episodes(5, 1, 3);
  const auto edited = editor->edit(requests(batch), baseScorer(base), quiet);
  EXPECT_EQ(codeOf([&] { editor->edit(requests(batch), edited, quiet); }), ErrorCode::Unsupported);
  EXPECT_EQ(codeOf([&] { makeEditorOf(base)->edit(requests(batch), edited, quiet); }),
            ErrorCode::Unsupported);
  const auto memory = std::make_shared<EditMemory>(editor->width(), editor->fingerprint());
  EXPECT_EQ(codeOf([&] { editor->withMemory(memory, "scope"); }), ErrorCode::Unsupported);
  JobContext cancelled(std::make_shared<std::atomic<bool>>(true));
  EXPECT_EQ(codeOf([&] { editor->edit(requests(batch), baseScorer(base), cancelled); }), ErrorCode::Aborted);
}

TEST(EditLoss, ChunksWeighWhatTheyHold) {
  const auto base = model();
  TensorTable leaves;
  for (const std::string& name : base->architecture->editableWeights()) {
    leaves.emplace(name, base->weights.at(name).clone().set_requires_grad(true));
  }
  const Model tracked{base->architecture, base->weights.with(leaves), base->device};
  Random random(4);
  const PairRows edits = pairs(random, 7);
  const EditLoss whole = editLoss(tracked, leaves, edits, {}, true, quiet, 100);
  const EditLoss parts = editLoss(tracked, leaves, edits, {}, true, quiet, 2);
  EXPECT_NEAR(whole.loss, parts.loss, 1e-6);
  EXPECT_EQ(whole.gradients.size(), leaves.size());
  for (const auto& [name, gradient] : whole.gradients) {
    EXPECT_TRUE(at::allclose(parts.gradients.at(name), gradient, 1e-4, 1e-6)) << name;
  }
}

TEST(InnerFit, OneStepIsTheHandComputedOne) {
  const at::Tensor W = at::tensor({1.0f, 2.0f, 3.0f, 4.0f}).view({2, 2});
  const at::Tensor g = at::tensor({0.5f, -2.0f, 0.0f, 1.0f}).view({2, 2});
  InnerFitOptions options;
  options.maxSteps = 1;
  options.learningRate = 0.01;
  const InnerFit fit = innerFit(
      {{"W", W}}, options,
      [&](const TensorTable&, bool) {
        return EditLoss{1, 0, {{"W", g}}};
      },
      quiet);
  const at::Tensor expected = W - 0.01 * g / ((0.01 * g * g).sqrt() + 1e-8);
  EXPECT_TRUE(at::allclose(fit.edited.at("W"), expected, 0, 1e-6));
  EXPECT_TRUE(at::equal(W, at::tensor({1.0f, 2.0f, 3.0f, 4.0f}).view({2, 2})));
}

TEST(InnerFit, SatisfiedEditsTakeNoStep) {
  const at::Tensor W = at::ones({2, 2});
  const InnerFit fit = innerFit(
      {{"W", W}}, {},
      [&](const TensorTable&, bool) {
        return EditLoss{0.1, 1, {{"W", at::ones({2, 2})}}};
      },
      quiet);
  EXPECT_EQ(figure(fit.figures, "steps"), 0);
  EXPECT_EQ(figure(fit.figures, "residualNorm"), 0);
  EXPECT_TRUE(at::equal(fit.edited.at("W"), W));
}

TEST(InnerFit, TheJointNormIsClipped) {
  // Two steps: the second one's size shows the running square, which saw the clipped gradient of the first.
  const at::Tensor W = at::zeros({1});
  InnerFitOptions options;
  options.maxSteps = 2;
  options.learningRate = 1;
  options.clipNorm = 5;
  int call = 0;
  const InnerFit fit = innerFit(
      {{"a", W}, {"b", W.clone()}}, options,
      [&](const TensorTable&, bool) {
        const double size = ++call == 1 ? 1.0 : 0.01;
        return EditLoss{1, 0, {{"a", at::full({1}, 30.0 * size)}, {"b", at::full({1}, 40.0 * size)}}};
      },
      quiet);
  const auto expected = [](double first, double second) {  // 30·0.1 = 3 after clipping 50 to 5
    const double v1 = 0.01 * first * first, v2 = 0.99 * v1 + 0.01 * second * second;
    return -first / std::sqrt(v1) - second / std::sqrt(v2);
  };
  EXPECT_NEAR(fit.edited.at("a").item<double>(), expected(3, 0.3), 1e-4);
  EXPECT_NEAR(fit.edited.at("b").item<double>(), expected(4, 0.4), 1e-4);
}

TEST(InnerFit, ALossThatIsNoNumberStopsIt) {
  const auto fit = [&](double loss, double gradient) {
    innerFit(
        {{"W", at::ones({1})}}, {},
        [&](const TensorTable&, bool) {
          return EditLoss{loss, 0, {{"W", at::full({1}, gradient)}}};
        },
        quiet);
  };
  EXPECT_EQ(codeOf([&] { fit(std::nan(""), 1); }), ErrorCode::NonFinite);
  EXPECT_EQ(codeOf([&] { fit(1, std::nan("")); }), ErrorCode::NonFinite);
}

}  // namespace
}  // namespace seprog
