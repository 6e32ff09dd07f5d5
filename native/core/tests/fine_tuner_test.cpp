#include "core/train/fine_tuner.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <limits>

#include "core/train/losses.h"
#include "tiny.h"

namespace seprog {
namespace {

using tiny::codeOf;
using tiny::figure;

JobContext quiet;

PairRows batch(uint64_t seed) {
  Random random(seed);
  return tiny::pairs(random, 6);
}

bool sameBits(const Model& a, const Model& b) { return a.weights.checksum() == b.weights.checksum(); }

void expectGradients(const Json& config, const PairRows& rows) {
  const Model start = createModel(config, 5, at::kCPU);

  // The same loss by plain autograd: logits of all targets, log-softmax, mean.
  TensorTable leaves;
  for (const auto& [name, tensor] : start.weights.flatten()) {
    leaves.emplace(name, tensor.detach().clone().set_requires_grad(true));
  }
  const Weights weights(leaves);
  const Architecture& family = *start.architecture;
  const Targets targets = targetsFor(family, rows.target, at::kCPU);
  const Encoded encoded =
      family.encode(weights, pad(rows.source, family.padId(), family.vocabulary(), at::kCPU));
  const at::Tensor logits = family.targetLogits(weights, encoded, targets, {});
  const at::Tensor loss = at::nll_loss(at::log_softmax(logits, 1), targets.labels_N);
  std::vector<at::Tensor> inputs;
  for (const auto& [name, leaf] : leaves) inputs.push_back(leaf);
  const auto expected = torch::autograd::grad({loss}, inputs);
  double squares = 0;
  for (const at::Tensor& gradient : expected) squares += gradient.pow(2).sum().item<double>();

  // With beta1 = beta2 = 0 and a huge epsilon a step is lr·g/(|g| + ε) ≈ lr/ε·g: it shows the gradient
  // itself.
  const auto tuner = makeFineTuner(
      Json::parse(R"({"optimizer": {"beta1": 0, "beta2": 0, "epsilon": 1e6}, "clipNorm": 1e9})"), start);
  const Figures figures = tuner->trainStep(rows, 1e5, quiet);
  EXPECT_NEAR(figure(figures, "loss"), loss.item<double>(), 1e-5);
  EXPECT_NEAR(figure(figures, "gradNorm"), std::sqrt(squares), 1e-4 * std::sqrt(squares));
  const Model after = tuner->snapshot();
  size_t i = 0;
  for (const auto& [name, leaf] : leaves) {
    const at::Tensor gradient = (leaf.detach() - after.weights.at(name)) * 10;
    EXPECT_TRUE(at::allclose(gradient, expected[i], 1e-3, 2e-5)) << name;
    ++i;
  }
}

/// Random claims and which of them are true.
PairRows claims(int64_t count) {
  Random random(4);
  PairRows rows;
  rows.source = tiny::rows(random, count, 4, 9);
  rows.target = tiny::classes(random, count, 2);
  return rows;
}

TEST(FineTuner, GradientsOfATiedModelAreThoseOfAutograd) { expectGradients(tiny::config(), batch(2)); }
TEST(FineTuner, GradientsOfAnUntiedModelAreThoseOfAutograd) {
  Json::Object config = tiny::config().object();
  config.emplace_back("tie_word_embeddings", false);
  expectGradients(Json(config), batch(2));
}
TEST(FineTuner, GradientsOfOneLogitAreThoseOfAutograd) { expectGradients(tiny::bertConfig(), claims(12)); }
TEST(FineTuner, GradientsOfTwoClassesAreThoseOfAutograd) {
  expectGradients(tiny::distilbertConfig(), claims(12));
}

TEST(FineTuner, LearnsWhichClaimsAreTrue) {
  for (const Json& config : {tiny::bertConfig(), tiny::distilbertConfig()}) {
    Json::Object members = config.object();
    members.emplace_back("initializer_range", 0.2);  // so narrow a model tells rows apart from the start then
    const auto tuner = makeFineTuner(Json(), createModel(Json(members), 1, at::kCPU));
    const PairRows rows = claims(64);
    EXPECT_LT(figure(tuner->validate(rows, quiet), "rowAccuracy"), 0.8);
    for (int step = 0; step < 60; ++step) tuner->trainStep(rows, 3e-3, quiet);
    EXPECT_EQ(figure(tuner->validate(rows, quiet), "rowAccuracy"), 1.0);
    EXPECT_LT(figure(tuner->validate(rows, quiet), "loss"), 0.05);
  }
}

TEST(FineTuner, LearnsABatchByHeart) {
  const auto tuner = makeFineTuner(Json(), *tiny::model());
  const PairRows rows = batch(3);
  Figures figures;
  for (int step = 0; step < 200; ++step) figures = tuner->trainStep(rows, 1e-2, quiet);
  EXPECT_LT(figure(figures, "loss"), 0.05);
  EXPECT_EQ(figure(tuner->validate(rows, quiet), "rowAccuracy"), 1.0);
}

TEST(FineTuner, LeavesTheStartAndSnapshotsAlone) {
  const auto start = tiny::model();
  const uint64_t before = start->weights.checksum();
  const auto tuner = makeFineTuner(Json(), *start);
  const Model first = tuner->snapshot();
  EXPECT_TRUE(sameBits(first, *start));
  tuner->trainStep(batch(1), 1e-2, quiet);
  EXPECT_EQ(start->weights.checksum(), before);
  EXPECT_EQ(first.weights.checksum(), before);
  EXPECT_FALSE(sameBits(tuner->snapshot(), first));
  for (const auto& [name, tensor] : start->weights.flatten()) EXPECT_FALSE(tensor.grad().defined()) << name;
}

TEST(FineTuner, ResumesToTheSameBits) {
  const tiny::Folder folder;
  const auto whole = makeFineTuner(Json(), *tiny::model());
  for (uint64_t step = 0; step < 6; ++step) whole->trainStep(batch(step), 1e-2, quiet);

  const auto first = makeFineTuner(Json(), *tiny::model());
  for (uint64_t step = 0; step < 3; ++step) first->trainStep(batch(step), 1e-2, quiet);
  first->save(folder.path(), true);
  const auto second = makeFineTuner(Json(), *tiny::model(77));
  second->restore(folder.path(), true);
  for (uint64_t step = 3; step < 6; ++step) second->trainStep(batch(step), 1e-2, quiet);
  EXPECT_TRUE(sameBits(second->snapshot(), whole->snapshot()));
}

TEST(FineTuner, CancelAndBadBatchesChangeNothing) {
  const auto tuner = makeFineTuner(Json(), *tiny::model());
  const uint64_t before = tuner->snapshot().weights.checksum();
  JobContext cancelled(std::make_shared<std::atomic<bool>>(true));
  EXPECT_EQ(codeOf([&] { tuner->trainStep(batch(1), 1e-2, cancelled); }), ErrorCode::Aborted);
  PairRows wrong = batch(1);
  wrong.source.ids[0] = tiny::kVocabulary;
  EXPECT_EQ(codeOf([&] { tuner->trainStep(wrong, 1e-2, quiet); }), ErrorCode::DataInvalid);
  PairRows uneven = batch(1);
  uneven.target = slice(uneven.target, 0, 2);
  EXPECT_EQ(codeOf([&] { tuner->trainStep(uneven, 1e-2, quiet); }), ErrorCode::DataInvalid);
  EXPECT_EQ(tuner->snapshot().weights.checksum(), before);
}

TEST(FineTuner, NamesTheFigureThatIsNotFinite) {
  const auto model = tiny::model();
  TensorTable table = model->weights.flatten();
  const std::string name = "decoder.final_layer_norm.weight";
  table[name] = at::full_like(table[name], std::numeric_limits<float>::infinity());
  const auto tuner = makeFineTuner(Json(), Model{model->architecture, Weights(table), at::kCPU});
  std::string message;
  EXPECT_EQ(codeOf([&] { tuner->trainStep(batch(1), 1e-2, quiet); }, &message), ErrorCode::NonFinite);
  EXPECT_NE(message.find("`loss`"), std::string::npos) << message;
}

TEST(FineTuner, RefusesAnotherModelsFolder) {
  const tiny::Folder folder;
  Json::Object config = tiny::config().object();
  for (auto& [key, value] : config) {
    if (key == "d_ff") value = Json(48);
  }
  saveModel(createModel(Json(config), 1, at::kCPU), folder.path(), "fp32");
  const auto tuner = makeFineTuner(Json(), *tiny::model());
  EXPECT_EQ(codeOf([&] { tuner->restore(folder.path(), false); }), ErrorCode::CheckpointInvalid);
}

TEST(TokenNll, BlocksAgreeWithTheWhole) {
  // A vocabulary so wide that rows pass in several blocks.
  const int64_t n = 70, width = 8, vocabulary = 150000;
  const at::Tensor h = Random(1, "h").normalTensor({n, width}, 0, 1).set_requires_grad(true);
  const at::Tensor w = Random(1, "w").normalTensor({vocabulary, width}, 0, 1).set_requires_grad(true);
  const at::Tensor labels = at::arange(n, at::kLong).mul(997);
  const at::Tensor weights = at::arange(n, at::kFloat).add(1).div(n);
  const Head head{w, 0.5, {}};
  const at::Tensor logProb = at::log_softmax(at::linear(h * 0.5, w), 1);
  const at::Tensor picked = logProb.gather(1, labels.unsqueeze(1)).squeeze(1);
  const auto expected = torch::autograd::grad({(picked.neg() * weights).sum()}, {h, w});

  const TokenLossGradients got = tokenNllGradients(h, head, labels, weights, true);
  EXPECT_TRUE(at::allclose(got.losses.logProb_N, picked, 1e-5, 1e-5));
  EXPECT_TRUE(at::equal(got.losses.argmax_N, logProb.argmax(1)));
  EXPECT_TRUE(at::allclose(got.h_ND, expected[0], 1e-4, 1e-6));
  EXPECT_TRUE(at::allclose(got.weight_VD, expected[1], 1e-4, 1e-6));
  const TokenLosses plain = tokenNll(h, head, labels);
  EXPECT_TRUE(at::equal(plain.logProb_N, got.losses.logProb_N));
}

}  // namespace
}  // namespace seprog
