// KL(reference ‖ edited) and edit loss with gradients for leaves, against one plain graph; overlays as scorers.
#include "core/train/locality_loss.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <numeric>

#include "core/editors/model_scorer.h"
#include "core/editors/overlay_scorer.h"
#include "tiny.h"

namespace seprog {
namespace {

using namespace tiny;

struct Case {
  const char* name;
  Json config;
};

class LocalityLossTest : public testing::TestWithParam<Case> {
 protected:
  Model make(uint64_t seed) const { return createModel(GetParam().config, seed, at::kCPU); }

  static PairRows rowsFor(const Architecture& family, int64_t count) {
    Random random(11);
    PairRows out = pairs(random, count);
    if (family.answerKind() == AnswerKind::Label) out.target = classes(random, count, 2);
    return out;
  }

  /// Leaves for `names`, near the weights of `model`.
  static TensorTable leavesNear(const Model& model, const std::vector<std::string>& names) {
    TensorTable leaves;
    for (const std::string& name : names) {
      const at::Tensor& W = model.weights.at(name);
      leaves.emplace(name,
                     (W + Random(5, name).normalTensor(W.sizes().vec(), 0, 0.05)).set_requires_grad(true));
    }
    return leaves;
  }
};

TEST_P(LocalityLossTest, EqualsOnePlainGraphOverAllWeights) {
  const Model reference = make(1);
  const Architecture& family = *reference.architecture;
  const PairRows rows = rowsFor(family, 7);
  const TensorTable leaves = leavesNear(reference, reference.weights.names());
  const Model edited{reference.architecture, reference.weights.with(leaves), reference.device};
  JobContext context;

  const LocalityLoss chunked = localityLoss(reference, edited, leaves, rows, true, context, 3);

  const TokenBatch source = pad(rows.source, family.padId(), family.vocabulary(), at::kCPU);
  const Targets targets = targetsFor(family, rows.target, at::kCPU);
  const auto logits = [&](const Model& model) {
    return family.targetLogits(model.weights, family.encodeForAnswers(model.weights, source), targets, {});
  };
  const at::Tensor p = at::log_softmax(logits(reference).detach(), 1);
  const at::Tensor q = at::log_softmax(logits(edited), 1);
  const at::Tensor plain = (p.exp() * (p - q)).sum(1).mean();
  EXPECT_GT(chunked.loss, 1e-6);
  EXPECT_NEAR(chunked.loss, plain.item<double>(), 1e-6);

  std::vector<at::Tensor> inputs;
  for (const auto& [name, leaf] : leaves) inputs.push_back(leaf);
  const auto gradients =
      torch::autograd::grad({plain}, inputs, {}, std::nullopt, false, /*allow_unused=*/true);
  size_t next = 0;
  for (const auto& [name, leaf] : leaves) {
    const at::Tensor& expected = gradients[next++];
    const auto found = chunked.gradients.find(name);
    ASSERT_EQ(found != chunked.gradients.end(), expected.defined()) << name;
    if (!expected.defined()) continue;
    const double scale = expected.abs().max().item<double>();
    EXPECT_LE((found->second - expected).abs().max().item<double>(), 1e-6 + 1e-4 * scale) << name;
  }
}

TEST_P(LocalityLossTest, IsZeroForTheReferenceItself) {
  const Model reference = make(1);
  const PairRows rows = rowsFor(*reference.architecture, 5);
  JobContext context;
  const LocalityLoss same = localityLoss(reference, reference, {}, rows, false, context, 2);
  EXPECT_NEAR(same.loss, 0, 1e-7);
  EXPECT_TRUE(same.gradients.empty());
}

TEST_P(LocalityLossTest, OverlayAnswersByItsWeightsAndIsComparedWithItsOriginal) {
  const auto original = std::make_shared<const Model>(make(1));
  const Model other = make(2);
  const PairRows rows = rowsFor(*original->architecture, 6);
  JobContext context;
  const auto overlay = overlayScorer(original, original->weights.with(other.weights.flatten()), "ft 1", {});
  const auto expected = baseScorer(std::make_shared<const Model>(other));

  EXPECT_EQ(&overlay->base(), original.get());
  EXPECT_EQ(overlay->score(rows, context).logProb, expected->score(rows, context).logProb);
  const std::vector<float> kl = compareScorers(*baseScorer(original), *overlay, rows, {}, context);
  const double mean = std::accumulate(kl.begin(), kl.end(), 0.0) / static_cast<double>(kl.size());
  EXPECT_NEAR(mean, localityLoss(*original, other, {}, rows, false, context).loss, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Families, LocalityLossTest,
                         testing::Values(Case{"t5", config()}, Case{"bart", bartConfig()},
                                         Case{"bert", bertConfig()}, Case{"gpt2", gpt2Config()}),
                         [](const auto& info) { return info.param.name; });

TEST(OverlayBelow, TakesTheBaseAndOverlaysOfTheSameEditorAlone) {
  const auto base = model(1);
  const auto overlay = overlayScorer(base, base->weights, "ft 1", {});
  EXPECT_EQ(overlayBelow(*baseScorer(base), *base, "ft 1"), nullptr);
  EXPECT_NE(overlayBelow(*overlay, *base, "ft 1"), nullptr);
  EXPECT_FALSE(isBaseScorer(*overlay));
  EXPECT_EQ(codeOf([&] { overlayBelow(*overlay, *base, "mend 2"); }), ErrorCode::Unsupported);
  EXPECT_EQ(codeOf([&] { overlayBelow(*baseScorer(model(2)), *base, "ft 1"); }), ErrorCode::Unsupported);
}

}  // namespace
}  // namespace seprog
