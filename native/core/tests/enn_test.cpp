#include "core/editors/enn/enn.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "core/editors/enn/enn_losses.h"
#include "core/instrument/counting_allocator.h"
#include "core/instrument/meter.h"
#include "core/io/safetensors.h"
#include "core/train/edit_loss.h"
#include "core/train/locality_loss.h"
#include "tiny.h"

namespace seprog {
namespace {

using tiny::codeOf;
using tiny::figure;

JobContext quiet;

Json spec(const std::string& more = "") { return Json::parse(R"({"kind": "enn", "seed": 3)" + more + "}"); }

EnnParameters parametersOf(const Model& base, double rate) {
  const auto matrices = static_cast<int64_t>(base.architecture->editableWeights().size());
  return {base.weights.flatten(), at::full({matrices}, rate, at::kFloat)};
}

EditRequests requests(const EpisodeBatch& batch) {
  return {batch.edits, batch.editText, std::vector<std::string>(batch.edits.rows(), "edit")};
}

EpisodeBatch episodesFor(const Model& base, uint64_t seed, int64_t n, int64_t K) {
  EpisodeBatch batch = tiny::episodes(seed, n, K);
  if (base.architecture->answerKind() != AnswerKind::Label) return batch;
  Random random(seed + 100);
  for (PairRows* rows : {&batch.edits, &batch.inScope, &batch.outScope}) {
    rows->target = tiny::classes(random, n * K, base.architecture->targetVocabulary());
  }
  return batch;
}

/// All gradients as one vector.
at::Tensor flat(const EnnLosses& losses) {
  std::vector<at::Tensor> parts{losses.innerRate_M};
  for (const auto& [name, gradient] : losses.theta) parts.push_back(gradient.reshape({-1}));
  return at::cat(parts);
}

double distance(const EnnLosses& a, const EnnLosses& b) {
  return ((flat(a) - flat(b)).norm() / flat(a).norm()).item<double>();
}

std::shared_ptr<const Model> modelOf(const Json& config) {
  return std::make_shared<const Model>(createModel(config, 2, at::kCPU));
}

TEST(Enn, TwoStagesAreOneGraphOnEveryFamily) {
  for (const Json& config : {tiny::config(), tiny::bartConfig(), tiny::bertConfig(), tiny::gpt2Config()}) {
    const auto base = modelOf(config);
    const EpisodeBatch batch = episodesFor(*base, 7, 2, 5);
    EnnParameters parameters = parametersOf(*modelOf(config), 0.2);
    for (auto& [name, tensor] : parameters.theta) {
      tensor = tensor + Random(9, name).normalTensor(tensor.sizes().vec(), 0, 0.1);
    }
    EnnSpec two;
    two.microBatch = 3;
    EnnSpec one;
    one.hypergradient = Hypergradient::CreateGraph;
    const EnnLosses chunked = ennGradients(*base, parameters, two, batch, quiet);
    const EnnLosses whole = ennGradients(*base, parameters, one, batch, quiet);
    EXPECT_LT(distance(whole, chunked), 1e-5) << base->architecture->family();
    for (const char* name : {"loss", "editLoss", "localityLoss", "baseLoss", "innerLoss", "rowAccuracy"}) {
      EXPECT_NEAR(figure(chunked.figures, name), figure(whole.figures, name), 1e-5) << name;
    }
    two.microBatch = 100;
    EXPECT_LT(distance(ennGradients(*base, parameters, two, batch, quiet), chunked), 1e-5)
        << base->architecture->family() << ", one chunk";
  }
}

Model inDouble(const Model& model, uint64_t noise) {
  TensorTable table;
  for (const auto& [name, tensor] : model.weights.flatten()) {
    table.emplace(name,
                  (tensor + Random(noise, name).normalTensor(tensor.sizes().vec(), 0, 0.1)).to(at::kDouble));
  }
  return {model.architecture, Weights(std::move(table)), model.device};
}

TEST(Enn, GradientsAreCentralDifferencesWithReferencesHeldFixed) {
  constexpr double kStep = 1e-6;
  for (const Json& config : {tiny::config(), tiny::bartConfig(), tiny::bertConfig(), tiny::gpt2Config()}) {
    const Model original = inDouble(*modelOf(config), 1);
    const Model start = inDouble(*modelOf(config), 2);
    const EpisodeBatch batch = episodesFor(original, 7, 1, 5);
    EnnParameters parameters = parametersOf(start, 0.2);
    parameters.innerRate_M = parameters.innerRate_M.to(at::kDouble);
    EnnSpec spec;
    spec.microBatch = 2;
    TensorTable direction;
    for (const auto& [name, tensor] : parameters.theta) {
      direction.emplace(name, Random(3, name).normalTensor(tensor.sizes().vec(), 0, 1).to(at::kDouble));
    }
    const auto value = [&](double by) {
      TensorTable theta;
      for (const auto& [name, tensor] : parameters.theta)
        theta.emplace(name, tensor + by * direction.at(name));
      const Model trained{start.architecture, Weights(theta), start.device};
      const InnerPass pass = innerPass(
          trained, innerLoop(*start.architecture, spec, parameters.innerRate_M + by), batch.edits, quiet);
      const Model edited{start.architecture, trained.weights.with(pass.weights[1]), start.device};
      return spec.cEdit * editLoss(edited, {}, batch.inScope, {}, false, quiet).loss +
             spec.cLoc * localityLoss(start, edited, {}, batch.outScope, false, quiet).loss +
             spec.cBase * localityLoss(original, trained, {}, batch.outScope, false, quiet).loss;
    };
    const double slope = (value(kStep) - value(-kStep)) / (2 * kStep);
    for (const Hypergradient way : {Hypergradient::TwoStage, Hypergradient::CreateGraph}) {
      spec.hypergradient = way;
      const EnnLosses losses = ennGradients(original, parameters, spec, batch, quiet);
      double along = losses.innerRate_M.sum().item<double>();
      for (const auto& [name, gradient] : losses.theta) {
        along += (gradient * direction.at(name)).sum().item<double>();
      }
      EXPECT_NEAR(along, slope, 1e-3 * std::abs(slope)) << start.architecture->family();
    }
  }
}

TEST(Enn, LossIsTheMeanOverEpisodesAndTheirRegroupings) {
  const auto base = tiny::model();
  const EnnParameters parameters = parametersOf(*base, 0.3);
  const EnnSpec options;
  EpisodeBatch batch = tiny::episodes(3, 2, 4);
  const auto alone = [&](int64_t first, int64_t count) {
    const auto part = [&](const PairRows& rows) {
      return PairRows{slice(rows.source, first, count), slice(rows.target, first, count)};
    };
    EpisodeBatch episode;
    episode.edits = part(batch.edits);
    episode.inScope = part(batch.inScope);
    episode.outScope = part(batch.outScope);
    episode.editText = slice(batch.editText, first, count);
    return flat(ennGradients(*base, parameters, options, episode, quiet));
  };
  const at::Tensor halves = (alone(0, 4) + alone(4, 4)) / 2;
  const at::Tensor both = flat(ennGradients(*base, parameters, options, batch, quiet));
  EXPECT_LT(((both - halves).norm() / halves.norm()).item<double>(), 1e-5);
  batch.regroupings = {4};
  at::Tensor quarters = alone(0, 2);
  for (const int64_t first : {2, 4, 6}) quarters = quarters + alone(first, 2);
  const at::Tensor regrouped = flat(ennGradients(*base, parameters, options, batch, quiet));
  EXPECT_LT(((regrouped - (halves + quarters / 4) / 2).norm() / regrouped.norm()).item<double>(), 1e-5);
}

TEST(Enn, WithoutAnInnerRateNothingIsEdited) {
  const auto base = tiny::model();
  const EpisodeBatch batch = tiny::episodes(3, 1, 4);
  const auto editor = makeEnn(spec(R"(, "innerRate": 0)"), base);
  const Figures figures = editor->validate(batch, quiet);
  EXPECT_EQ(figure(figures, "localityLoss"), 0);
  EXPECT_EQ(figure(figures, "baseLoss"), 0);
  EXPECT_EQ(figure(figures, "preEditChanged"), 0);
  EXPECT_NEAR(figure(figures, "editLoss"), editLoss(*base, {}, batch.inScope, {}, false, quiet).loss, 1e-6);
  const auto edited = editor->edit(requests(batch), baseScorer(base), quiet);
  EXPECT_EQ(edited->score(batch.inScope, quiet).logProb,
            baseScorer(base)->score(batch.inScope, quiet).logProb);
}

TEST(Enn, ValidationIsTheTrainingLossWithoutTheBaseTerm) {
  const auto base = tiny::model(1);
  const EpisodeBatch batch = tiny::episodes(5, 2, 3);
  const EnnParameters parameters = parametersOf(*tiny::model(2), 0.1);
  const EnnSpec options;
  const Figures step = ennGradients(*base, parameters, options, batch, quiet).figures;
  const Figures check = ennFigures(*base, parameters, options, batch, quiet);
  EXPECT_NEAR(figure(step, "loss"), figure(check, "loss") + figure(check, "baseLoss"), 1e-5);
  EXPECT_NEAR(figure(check, "loss"), 0.1 * figure(check, "editLoss") + figure(check, "localityLoss"), 1e-6);
  EXPECT_EQ(figure(check, "preEditDrift"), figure(check, "baseLoss"));
  EXPECT_GT(figure(check, "preEditDrift"), 0);
  EXPECT_GT(figure(check, "preEditChanged"), 0);
  EXPECT_NEAR(figure(step, "rowAccuracy"), figure(check, "rowAccuracy"), 1e-9);
}

TEST(Enn, TheReferenceOfLocalityCarriesNoGradient) {
  // Without second order the gradient of L_loc for θ is that of θ' alone. Would the reference carry one too, the model
  // could learn to move that instead.
  const auto base = tiny::model();
  const EpisodeBatch batch = tiny::episodes(5, 1, 4);
  EnnSpec locality;
  locality.cEdit = 0;
  locality.cBase = 0;
  locality.firstOrder = true;
  const EnnParameters parameters = parametersOf(*base, 0.5);
  const EnnLosses losses = ennGradients(*base, parameters, locality, batch, quiet);
  const InnerPass pass =
      innerPass(*base, innerLoop(*base->architecture, locality, parameters.innerRate_M), batch.edits, quiet);
  TensorTable leaves = asLeaves(parameters.theta);
  for (auto& [name, leaf] : asLeaves(pass.weights.back())) leaves[name] = leaf;
  const Model edited{base->architecture, Weights(leaves), base->device};
  const Gradients expected = localityLoss(*base, edited, leaves, batch.outScope, true, quiet).gradients;
  for (const auto& [name, gradient] : expected) {
    EXPECT_TRUE(at::allclose(losses.theta.at(name), gradient, 1e-4, 1e-7)) << name;
  }
}

TEST(Enn, TrainsAllWeightsAndTheRatesAndLeavesTheBaseAlone) {
  const auto base = tiny::model();
  const uint64_t before = base->weights.checksum();
  const auto editor = makeEnn(spec(), base);
  const std::string untrained = editor->fingerprint();
  const tiny::Folder folder;
  for (int step = 0; step < 3; ++step) editor->trainStep(tiny::episodes(5, 1, 4), {1e-3, 0.5}, quiet);
  editor->save(folder.path(), true);
  EXPECT_NE(editor->fingerprint(), untrained);
  EXPECT_EQ(base->weights.checksum(), before);
  const TensorTable trained = readSafetensors(folder / "editor.safetensors").tensors;
  for (const auto& [name, tensor] : base->weights.flatten()) {
    EXPECT_FALSE(at::equal(trained.at("base." + name), tensor)) << name;
  }
  // Adam's first steps are as long as the rate: 3 · 1e-3 · 0.5.
  const at::Tensor moved = (trained.at("innerRate") - 1e-2).abs();
  EXPECT_TRUE(moved.gt(5e-4).all().item<bool>());
  EXPECT_TRUE(moved.le(1.51e-3).all().item<bool>());
}

TEST(Enn, EditIsOneStepOfTheTrainedModelOverTheOriginal) {
  const auto base = tiny::model();
  const EpisodeBatch batch = tiny::episodes(5, 1, 4);
  const auto editor = makeEnn(spec(R"(, "innerRate": 0.1)"), base);
  editor->trainStep(batch, {1e-2}, quiet);
  const tiny::Folder folder;
  editor->save(folder.path(), false);
  const TensorTable trained = readSafetensors(folder / "editor.safetensors").tensors;
  EnnParameters parameters;
  for (const auto& [name, tensor] : base->weights.flatten()) {
    parameters.theta.emplace(name, trained.at("base." + name));
  }
  parameters.innerRate_M = trained.at("innerRate");
  const Model theta{base->architecture, Weights(parameters.theta), base->device};
  const InnerPass pass =
      innerPass(theta, innerLoop(*base->architecture, EnnSpec(), parameters.innerRate_M), batch.edits, quiet);
  const auto expected = baseScorer(std::make_shared<const Model>(
      Model{base->architecture, theta.weights.with(pass.weights[1]), base->device}));

  const auto edited = editor->edit(requests(batch), baseScorer(base), quiet);
  EXPECT_EQ(&edited->base(), base.get()) << "drawdown is measured against the model as it was loaded";
  EXPECT_EQ(edited->score(batch.inScope, quiet).logProb, expected->score(batch.inScope, quiet).logProb);
  EXPECT_EQ(figure(edited->editFigures(), "steps"), 1);
  EXPECT_NEAR(figure(edited->editFigures(), "editLossBefore"), pass.loss, 1e-6);
}

TEST(Enn, EditsGoOnTopOfItsOwnEdits) {
  const auto base = tiny::model();
  const EpisodeBatch first = tiny::episodes(5, 1, 2), second = tiny::episodes(6, 1, 2);
  const auto editor = makeEnn(spec(R"(, "innerRate": 0.1)"), base);
  const auto once = editor->edit(requests(first), baseScorer(base), quiet);
  const auto twice = editor->edit(requests(second), once, quiet);
  const auto other = editor->edit(requests(second), baseScorer(base), quiet);
  const auto logProb = [&](const auto& scorer) { return scorer->score(first.edits, quiet).logProb; };
  EXPECT_NE(logProb(twice), logProb(other));
  EXPECT_NE(logProb(twice), logProb(once));
  const auto none = editor->edit({}, baseScorer(base), quiet);
  EXPECT_EQ(logProb(none), logProb(baseScorer(base)));

  editor->trainStep(first, {1e-3}, quiet);
  EXPECT_EQ(codeOf([&] { editor->edit(requests(second), once, quiet); }), ErrorCode::Unsupported)
      << "an overlay of other weights";
}

TEST(Enn, TrainingOnLeavesEditedModelsAlone) {
  const auto base = tiny::model();
  const EpisodeBatch batch = tiny::episodes(5, 1, 3);
  const auto editor = makeEnn(spec(), base);
  const auto edited = editor->edit(requests(batch), baseScorer(base), quiet);
  const std::vector<float> before = edited->score(batch.inScope, quiet).logProb;
  for (int step = 0; step < 2; ++step) editor->trainStep(batch, {1e-2}, quiet);
  EXPECT_EQ(edited->score(batch.inScope, quiet).logProb, before);
}

TEST(Enn, ResumesToTheSameBits) {
  const auto base = tiny::model();
  const auto straight = makeEnn(spec(), base), first = makeEnn(spec(), base), second = makeEnn(spec(), base);
  const tiny::Folder folder;
  for (const uint64_t seed : {1, 2, 3, 4}) straight->trainStep(tiny::episodes(seed, 1, 3), {1e-3}, quiet);
  for (const uint64_t seed : {1, 2}) first->trainStep(tiny::episodes(seed, 1, 3), {1e-3}, quiet);
  first->save(folder.path(), true);
  second->restore(folder.path(), true);
  EXPECT_EQ(second->fingerprint(), first->fingerprint());
  for (const uint64_t seed : {3, 4}) second->trainStep(tiny::episodes(seed, 1, 3), {1e-3}, quiet);
  EXPECT_EQ(second->fingerprint(), straight->fingerprint());
}

TEST(Enn, RefusesCheckpointsThatDoNotFit) {
  const auto base = tiny::model();
  const auto editor = makeEnn(spec(), base);
  const tiny::Folder folder;
  editor->save(folder.path(), true);
  const auto refuses = [&](const std::shared_ptr<Editor>& other) {
    const std::string before = other->fingerprint();
    EXPECT_EQ(codeOf([&] { other->restore(folder.path(), true); }), ErrorCode::CheckpointInvalid);
    EXPECT_EQ(other->fingerprint(), before);
  };
  refuses(makeEnn(spec(), tiny::model(2)));
  refuses(makeEnn(spec(R"(, "innerSteps": 2)"), base));
  makeEnn(spec(R"(, "microBatch": 2, "firstOrder": true)"), base)->restore(folder.path(), true);

  TensorTable table = readSafetensors(folder / "editor.safetensors").tensors;
  table["innerRate"] = at::zeros({3});
  writeSafetensors(folder / "editor.safetensors", table);
  refuses(editor);
  std::filesystem::remove(folder / "editor.json");
  refuses(editor);
}

TEST(Enn, AFailedStepChangesNothing) {
  const auto base = tiny::model();
  const auto editor = makeEnn(spec(), base);
  const std::string before = editor->fingerprint();
  EpisodeBatch batch = tiny::episodes(5, 1, 3);
  EXPECT_EQ(codeOf([&] { editor->trainStep(batch, {std::nan("")}, quiet); }), ErrorCode::DataInvalid);
  EXPECT_EQ(codeOf([&] { editor->trainStep(batch, {1e-3, -1}, quiet); }), ErrorCode::DataInvalid);
  batch.outScope.target = {};
  EXPECT_EQ(codeOf([&] { editor->trainStep(batch, {1e-3}, quiet); }), ErrorCode::DataInvalid);
  batch = tiny::episodes(5, 1, 3);
  batch.episodes = 2;
  EXPECT_EQ(codeOf([&] { editor->trainStep(batch, {1e-3}, quiet); }), ErrorCode::DataInvalid);
  const auto cancel = std::make_shared<std::atomic<bool>>(true);
  JobContext cancelled(cancel);
  EXPECT_EQ(codeOf([&] { editor->trainStep(tiny::episodes(5, 1, 3), {1e-3}, cancelled); }),
            ErrorCode::Aborted);
  const auto wild = makeEnn(spec(R"(, "innerRate": 1e30)"), base);
  const std::string start = wild->fingerprint();
  EXPECT_EQ(codeOf([&] { wild->trainStep(tiny::episodes(5, 1, 3), {1e-3}, quiet); }), ErrorCode::NonFinite);
  EXPECT_EQ(wild->fingerprint(), start);
  EXPECT_EQ(editor->fingerprint(), before);
}

TEST(Enn, SpecNamesTheOptionThatIsWrong) {
  const auto base = tiny::model();
  for (const char* wrong :
       {R"(, "innerSteps": 0)", R"(, "hypergradient": "exact")", R"(, "cEdit": -1)", R"(, "clipNorm": 0)",
        R"(, "microBatch": 0)", R"(, "innerRateLearningRate": -1)", R"(, "rank": 3)"}) {
    std::string message;
    EXPECT_EQ(codeOf([&] { makeEnn(spec(wrong), base); }, &message), ErrorCode::ConfigInvalid) << wrong;
    const std::string option = std::string(wrong).substr(3, std::string(wrong).find('"', 3) - 3);
    EXPECT_NE(message.find("editor." + option), std::string::npos) << message;
  }
}

TEST(Enn, LearnsToMakeFourEditsInOneStep) {
  const auto base = tiny::model();
  const auto editor = makeEnn(spec(R"(, "innerRate": 0.1, "innerRateLearningRate": 1e-2)"), base);
  EpisodeBatch batch = tiny::episodes(5, 1, 4);
  batch.inScope.target = batch.edits.target;
  const auto answers = [&] {
    return editor->edit(requests(batch), baseScorer(base), quiet)->score(batch.inScope, quiet).argmax;
  };
  EXPECT_NE(answers(), batch.inScope.target.ids);
  int step = 0;
  for (; step < 500 && answers() != batch.inScope.target.ids; ++step) editor->trainStep(batch, {1e-3}, quiet);
  EXPECT_EQ(answers(), batch.inScope.target.ids) << "after " << step << " steps";
  EXPECT_LT(figure(editor->validate(batch, quiet), "preEditDrift"), 0.05);
  RecordProperty("steps", step);
}

Json midSize() {
  return tiny::with(tiny::config(),
                    R"({"d_model": 128, "d_kv": 32, "d_ff": 512, "num_heads": 4, "vocab_size": 512})");
}

/// Bytes a step needs beside parameters, teacher and moments.
int64_t stepBytes(const std::string& more, int64_t K) {
  installCountingAllocator();
  const auto base = std::make_shared<const Model>(createModel(midSize(), 2, at::kCPU));
  const auto editor = makeEnn(spec(more), base);
  Random random(4);
  EpisodeBatch batch;
  const auto pairs = [&] { return PairRows{tiny::rows(random, K, 15, 15), tiny::rows(random, K, 3, 3)}; };
  batch.edits = pairs();
  batch.inScope = pairs();
  batch.outScope = pairs();
  batch.editText = batch.edits.source;
  Meter meter(c10::Device(c10::DeviceType::CPU));
  JobContext context(nullptr, &meter);
  editor->trainStep(batch, {1e-5}, context);
  const PhaseRecord total = meter.finish().total;
  return total.peakBytes - total.baselineBytes;
}

TEST(Enn, PeakOfAStepDoesNotGrowWithTheNumberOfEdits) {
  const int64_t few = stepBytes(R"(, "microBatch": 8)", 8);
  const int64_t many = stepBytes(R"(, "microBatch": 8)", 128);
  const int64_t plain = stepBytes(R"(, "hypergradient": "create_graph")", 128);
  RecordProperty("bytesOf8", std::to_string(few));
  RecordProperty("bytesOf128", std::to_string(many));
  RecordProperty("bytesOf128InOneGraph", std::to_string(plain));
  EXPECT_LE(static_cast<double>(many), 1.2 * static_cast<double>(few));
  EXPECT_LE(static_cast<double>(many), 0.5 * static_cast<double>(plain));
}

}  // namespace
}  // namespace seprog
