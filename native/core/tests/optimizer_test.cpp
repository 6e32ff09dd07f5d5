#include "core/train/optimizer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tiny.h"

namespace seprog {
namespace {

TensorTable table(uint64_t seed, const std::vector<std::pair<std::string, std::vector<int64_t>>>& shapes) {
  TensorTable out;
  for (const auto& [name, shape] : shapes) out.emplace(name, Random(seed, name).normalTensor(shape, 0, 1));
  return out;
}

TensorTable copy(const TensorTable& source) {
  TensorTable out;
  for (const auto& [name, tensor] : source) out.emplace(name, tensor.clone());
  return out;
}

/// torch.optim.Adam / AdamW as PyTorch documents them, one operation at a time.
struct Reference {
  TensorTable m, v;
  double step = 0;
  void apply(TensorTable& p, const TensorTable& gradients, const AdamOptions& o, double lr) {
    ++step;
    for (auto& [name, gradient] : gradients) {
      at::Tensor& w = p.find(name)->second;
      at::Tensor g = gradient;
      if (o.decoupledDecay) w.mul_(1 - lr * o.weightDecay);
      if (!o.decoupledDecay && o.weightDecay != 0) g = g.add(w, o.weightDecay);
      at::Tensor& m_ = m.emplace(name, at::zeros_like(w)).first->second;
      at::Tensor& v_ = v.emplace(name, at::zeros_like(w)).first->second;
      m_.lerp_(g, 1 - o.beta1);
      v_.mul_(o.beta2).addcmul_(g, g, 1 - o.beta2);
      const at::Tensor denominator = v_.sqrt().div_(std::sqrt(1 - std::pow(o.beta2, step))).add_(o.epsilon);
      w.addcdiv_(m_, denominator, -lr / (1 - std::pow(o.beta1, step)));
    }
  }
};

const std::vector<std::pair<std::string, std::vector<int64_t>>> kShapes = {
    {"a", {3, 5}}, {"long", {40000}}, {"scalar", {}}, {"wide", {17, 1025}}};

void expectSameSteps(const AdamOptions& options) {
  TensorTable ours = table(1, kShapes);
  TensorTable theirs = copy(ours);
  Adam adam(options, ours);
  Reference reference;
  for (uint64_t step = 0; step < 20; ++step) {
    const TensorTable gradients = table(100 + step, kShapes);
    const double lr = 1e-2 / static_cast<double>(1 + step);
    adam.step(ours, gradients, lr, 1.0);
    reference.apply(theirs, gradients, options, lr);
  }
  for (const auto& [name, tensor] : theirs) {
    EXPECT_TRUE(at::allclose(ours.find(name)->second, tensor, 1e-6, 1e-6)) << name;
  }
}

TEST(Adam, StepsAsPyTorchDoes) { expectSameSteps({}); }
TEST(Adam, AddsWeightDecayToTheGradient) { expectSameSteps({.weightDecay = 0.1}); }
TEST(Adam, DecouplesWeightDecayForAdamW) { expectSameSteps({.weightDecay = 0.1, .decoupledDecay = true}); }

TEST(Adam, KnownFirstStep) {
  TensorTable p;
  p.emplace("p", at::tensor({1.0f, -2.0f}));
  Adam adam({}, p);
  TensorTable g;
  g.emplace("p", at::tensor({0.5f, -4.0f}));
  adam.step(p, g, 0.1, 1.0);
  // The first step is lr·sign(gradient), up to epsilon.
  EXPECT_NEAR(p["p"][0].item<float>(), 0.9f, 1e-6);
  EXPECT_NEAR(p["p"][1].item<float>(), -1.9f, 1e-6);
}

TEST(Adam, ScalesGradientsOnTheWay) {
  TensorTable scaled = table(1, kShapes);
  TensorTable plain = copy(scaled);
  Adam one({}, scaled), two({}, plain);
  const TensorTable gradients = table(9, kShapes);
  TensorTable quarter;
  for (const auto& [name, g] : gradients) quarter.emplace(name, g * 0.25);
  one.step(scaled, gradients, 1e-2, 0.25);
  two.step(plain, quarter, 1e-2, 1.0);
  for (const auto& [name, tensor] : plain) EXPECT_TRUE(at::equal(scaled.find(name)->second, tensor)) << name;
}

TEST(Adam, LeavesParametersWithoutGradientAlone) {
  TensorTable p = table(1, kShapes);
  const TensorTable before = copy(p);
  Adam adam({}, p);
  TensorTable gradients = table(2, kShapes);
  gradients.erase("long");
  adam.step(p, gradients, 1e-2, 1.0);
  EXPECT_TRUE(at::equal(p["long"], before.find("long")->second));
  EXPECT_FALSE(at::equal(p["a"], before.find("a")->second));
}

TEST(Adam, DoesNotDependOnThreads) {
  const int threads = at::get_num_threads();
  TensorTable one = table(1, kShapes);
  TensorTable two = copy(one);
  const TensorTable gradients = table(2, kShapes);
  at::set_num_threads(1);
  Adam first({}, one);
  first.step(one, gradients, 1e-2, 1.0);
  const double normOfOne = globalNorm(gradients);
  at::set_num_threads(2);
  Adam second({}, two);
  second.step(two, gradients, 1e-2, 1.0);
  EXPECT_EQ(globalNorm(gradients), normOfOne);
  at::set_num_threads(threads);
  for (const auto& [name, tensor] : one) EXPECT_TRUE(at::equal(tensor, two.find(name)->second)) << name;
}

TEST(Adam, RefusesALearningRateThatIsNoNumber) {
  TensorTable p = table(1, kShapes);
  const TensorTable before = copy(p);
  Adam adam({}, p);
  EXPECT_EQ(tiny::codeOf([&] { adam.step(p, table(2, kShapes), std::nan(""), 1.0); }),
            ErrorCode::DataInvalid);
  EXPECT_EQ(tiny::codeOf([&] { adam.step(p, table(2, kShapes), -1e-3, 1.0); }), ErrorCode::DataInvalid);
  EXPECT_EQ(adam.steps(), 0);
  for (const auto& [name, tensor] : before) EXPECT_TRUE(at::equal(p.find(name)->second, tensor)) << name;
}

TEST(Adam, RestoredStateGoesOnToTheSameBits) {
  const tiny::Folder folder;
  TensorTable straight = table(1, kShapes);
  Adam whole({}, straight);
  for (uint64_t step = 0; step < 4; ++step) whole.step(straight, table(50 + step, kShapes), 1e-2, 0.5);

  TensorTable resumed = table(1, kShapes);
  Adam first({}, resumed);
  for (uint64_t step = 0; step < 2; ++step) first.step(resumed, table(50 + step, kShapes), 1e-2, 0.5);
  first.save(folder / "optimizer.safetensors");
  Adam second({}, resumed);
  second.restore(folder / "optimizer.safetensors");
  EXPECT_EQ(second.steps(), 2);
  for (uint64_t step = 2; step < 4; ++step) second.step(resumed, table(50 + step, kShapes), 1e-2, 0.5);
  for (const auto& [name, tensor] : straight)
    EXPECT_TRUE(at::equal(resumed.find(name)->second, tensor)) << name;
}

TEST(Adam, RefusesStateOfOtherSizes) {
  const tiny::Folder folder;
  Adam small({}, table(1, {{"a", {2}}}));
  small.save(folder / "optimizer.safetensors");
  Adam other({}, table(1, {{"a", {3}}}));
  EXPECT_EQ(tiny::codeOf([&] { other.restore(folder / "optimizer.safetensors"); }),
            ErrorCode::CheckpointInvalid);
  EXPECT_EQ(tiny::codeOf([&] { other.restore(folder / "missing"); }), ErrorCode::CheckpointInvalid);
}

TEST(AdamOptions, NamesTheOptionThatIsWrong) {
  std::string message;
  EXPECT_EQ(
      tiny::codeOf([] { readAdamOptions(Options(Json::parse(R"({"beta1": 1.5})"), "optimizer")); }, &message),
      ErrorCode::ConfigInvalid);
  EXPECT_NE(message.find("optimizer.beta1"), std::string::npos) << message;
  EXPECT_EQ(tiny::codeOf([] { readAdamOptions(Options(Json::parse(R"({"momentum": 1})"), "optimizer")); }),
            ErrorCode::ConfigInvalid);
}

TEST(Clipping, MatchesPyTorchsFormula) {
  TensorTable g;
  g.emplace("a", at::tensor({3.0f}));
  g.emplace("b", at::tensor({4.0f}));
  EXPECT_DOUBLE_EQ(globalNorm(g), 5.0);
  EXPECT_DOUBLE_EQ(clipFactor(5.0, 10.0), 1.0);
  EXPECT_DOUBLE_EQ(clipFactor(5.0, 2.5), 2.5 / (5.0 + 1e-6));
}

TEST(Clipping, NormOfANonFiniteGradientIsNotFinite) {
  TensorTable g = table(1, kShapes);
  g["long"][39999] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(std::isfinite(globalNorm(g)));
  g["long"][39999] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(std::isfinite(globalNorm(g)));
  g["long"][39999] = 1e30f;  // its square has no place in a float
  EXPECT_NEAR(globalNorm(g), 1e30, 1e24);
}

}  // namespace
}  // namespace seprog
