#include "core/train/hypergradient.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <sstream>

#include "core/train/edit_loss.h"
#include "tiny.h"

namespace seprog {
namespace {

JobContext quiet;

/// One token in, one of three classes out: ℓ = H W x with x the token's embedding. Its inner step has a closed form.
class SoftmaxRegression final : public Architecture {
 public:
  static constexpr int64_t kTokens = 7, kWidth = 4, kClasses = 3;

  const std::string& family() const override { return name_; }
  const Json& config() const override { return config_; }
  int64_t hiddenWidth() const override { return kWidth; }
  int64_t embeddingWidth() const override { return kWidth; }
  int64_t vocabulary() const override { return kTokens; }
  AnswerKind answerKind() const override { return AnswerKind::Label; }
  int64_t targetVocabulary() const override { return kClasses; }
  int64_t padId() const override { return 0; }
  int64_t startId() const override { return 0; }
  int64_t stopId() const override { return 0; }
  const at::Tensor& embeddingTable(const Weights& weights) const override { return weights.at("E"); }
  std::vector<std::pair<std::string, std::vector<int64_t>>> expectedWeights() const override {
    return {{"E", {kTokens, kWidth}}, {"W", {kWidth, kWidth}}, {"H", {kClasses, kWidth}}};
  }
  TensorTable initialise(uint64_t seed) const override {
    TensorTable table;
    for (const auto& [name, shape] : expectedWeights()) {
      table.emplace(name, Random(seed, name).normalTensor(shape, 0, 1).to(at::kDouble));
    }
    return table;
  }
  void normaliseNames(TensorTable& table) const override { keepKnown(table); }
  std::vector<std::string> editableWeights() const override { return {"W"}; }
  Encoded encode(const Weights& weights, const TokenBatch& source, Taps*) const override {
    return {source, at::embedding(weights.at("E"), source.ids_BS)};
  }
  at::Tensor targetStates(const Weights& weights, const Encoded& encoded, const Targets&, const Prompt&,
                          Taps*) const override {
    return at::linear(encoded.h_BSD.select(1, 0), weights.at("W"));
  }
  Head head(const Weights& weights) const override { return {weights.at("H"), 1, {}}; }
  std::unique_ptr<DecodeState> startDecode(const Weights&, const Encoded&, const Prompt&) const override {
    return nullptr;
  }

 private:
  std::string name_ = "softmax_regression";
  Json config_;
};

/// L_in and L_out are both mean negative log-likelihoods; K rows of one token and a class each.
PairRows classRows(uint64_t seed, int64_t count) {
  Random random(seed);
  PairRows rows;
  for (int64_t b = 0; b < count; ++b) {
    rows.source.ids.push_back(static_cast<int32_t>(random.uniform() * SoftmaxRegression::kTokens));
    rows.source.lengths.push_back(1);
  }
  rows.target = tiny::classes(random, count, SoftmaxRegression::kClasses);
  return rows;
}

struct ClosedForm {
  at::Tensor gradient_DD;                                // Σ_k Hᵀ (p_k − y_k) x_kᵀ / K
  std::function<at::Tensor(const at::Tensor&)> hessian;  // V ↦ Σ_k Hᵀ (diag p_k − p_k p_kᵀ) H V x_k x_kᵀ / K
};

ClosedForm closedForm(const at::Tensor& E, const at::Tensor& W, const at::Tensor& H, const PairRows& rows) {
  const int64_t K = rows.rows();
  const at::Tensor x_KD = E.index_select(0, at::tensor(rows.source.ids, at::kLong));
  const at::Tensor p_KC = at::softmax(x_KD.mm(W.t()).mm(H.t()), 1);
  const at::Tensor y_KC =
      at::one_hot(at::tensor(rows.target.ids, at::kLong), SoftmaxRegression::kClasses).to(at::kDouble);
  return {H.t().mm((p_KC - y_KC).t()).mm(x_KD) / K, [=](const at::Tensor& V) {
            const at::Tensor z_KC = x_KD.mm(V.t()).mm(H.t());
            const at::Tensor s_KC = p_KC * (z_KC - (p_KC * z_KC).sum(1, true));
            return H.t().mm(s_KC.t()).mm(x_KD) / K;
          }};
}

TEST(Hypergradient, OfSoftmaxRegressionIsItsClosedForm) {
  const auto family = std::make_shared<const SoftmaxRegression>();
  const TensorTable theta = family->initialise(5);
  const Model model{family, Weights(theta)};
  const PairRows edits = classRows(1, 6), after = classRows(2, 5);
  const double a = 0.7;
  const InnerLoop loop{{"W"}, at::full({1}, a, at::kDouble), 1, 4};
  const InnerPass pass = innerPass(model, loop, edits, quiet);

  const at::Tensor &E = theta.at("E"), &W = theta.at("W"), &H = theta.at("H");
  const ClosedForm inner = closedForm(E, W, H, edits);
  const at::Tensor edited_DD = W - a * inner.gradient_DD;
  EXPECT_TRUE(at::allclose(pass.weights[1].at("W"), edited_DD, 0, 1e-12));
  const at::Tensor v = closedForm(E, edited_DD, H, after).gradient_DD;

  const TensorTable leaves = asLeaves(theta);
  const at::Tensor ofRate_M = backThroughInner(*family, leaves, loop, pass, edits, {{"W", v}}, quiet);
  EXPECT_TRUE(at::allclose(leaves.at("W").grad(), v - a * inner.hessian(v), 0, 1e-12));
  EXPECT_NEAR(ofRate_M[0].item<double>(), -(v * inner.gradient_DD).sum().item<double>(), 1e-12);
}

Model inDouble(const Json& config, uint64_t seed) {
  const Model model = createModel(config, seed, at::kCPU);
  TensorTable table;
  for (const auto& [name, tensor] : model.weights.flatten()) {
    // Far enough from the small start that every part has a gradient worth comparing.
    table.emplace(name,
                  tensor.to(at::kDouble) +
                      Random(seed + 1, name).normalTensor(tensor.sizes().vec(), 0, 0.15).to(at::kDouble));
  }
  return {model.architecture, Weights(std::move(table)), model.device};
}

PairRows rowsFor(const Model& model, uint64_t seed, int64_t count) {
  Random random(seed);
  PairRows rows = tiny::pairs(random, count);
  if (model.architecture->answerKind() == AnswerKind::Label) {
    rows.target = tiny::classes(random, count, model.architecture->targetVocabulary());
  }
  return rows;
}

struct Family {
  const char* name;
  Json (*config)();
};

void PrintTo(const Family& family, std::ostream* out) { *out << family.name; }

class HypergradientOf : public ::testing::TestWithParam<Family> {
 protected:
  HypergradientOf()
      : model_(inDouble(GetParam().config(), 3)),
        edits_(rowsFor(model_, 4, 7)),
        after_(rowsFor(model_, 5, 5)) {}

  InnerLoop loop(int64_t steps, int64_t chunkRows) const {
    const std::vector<std::string> names = model_.architecture->editableWeights();
    return {names, at::linspace(0.1, 0.3, static_cast<int64_t>(names.size()), at::kDouble), steps, chunkRows};
  }

  /// The outer loss: negative log-likelihood of further rows behind the steps.
  double value(const TensorTable& theta, const InnerLoop& loop) const {
    const Model model{model_.architecture, Weights(theta), model_.device};
    const InnerPass pass = innerPass(model, loop, edits_, quiet);
    return editLoss({model.architecture, model.weights.with(pass.weights.back()), model.device}, {}, after_,
                    {}, false, quiet)
        .loss;
  }

  struct Gradient {
    TensorTable theta;
    at::Tensor rates_M;
  };

  Gradient collect(const TensorTable& leaves, const at::Tensor& rates_M) const {
    Gradient gradient{{}, rates_M};
    for (const auto& [name, leaf] : leaves) {
      gradient.theta.emplace(name, leaf.grad().defined() ? leaf.grad() : at::zeros_like(leaf));
    }
    return gradient;
  }

  Gradient inTwoStages(const TensorTable& theta, const InnerLoop& loop) const {
    const TensorTable leaves = asLeaves(theta);
    const Model model{model_.architecture, Weights(theta), model_.device};
    const InnerPass pass = innerPass(model, loop, edits_, quiet);
    TensorTable outer = leaves;
    for (auto& [name, leaf] : asLeaves(pass.weights.back())) outer[name] = leaf;
    EditLoss loss =
        editLoss({model.architecture, Weights(outer), model.device}, outer, after_, {}, true, quiet);
    TensorTable v;
    for (const auto& [name, gradient] : loss.gradients) {
      if (pass.weights.back().contains(name)) {
        v.emplace(name, gradient);
      } else {
        addGradient(leaves.at(name), gradient);
      }
    }
    return collect(leaves, backThroughInner(*model.architecture, leaves, loop, pass, edits_, v, quiet));
  }

  Gradient inOneGraph(const TensorTable& theta, InnerLoop loop) const {
    const TensorTable leaves = asLeaves(theta);
    loop.rates_M = loop.rates_M.clone().set_requires_grad(true);
    const Weights weights =
        Weights(leaves).with(unrolledInner(*model_.architecture, leaves, loop, edits_, quiet).weights);
    const Architecture& family = *model_.architecture;
    torch::autograd::backward({weightedNll(
        family, weights, pad(after_.source, family.padId(), family.vocabulary(), at::kCPU),
        targetsFor(family, after_.target, at::kCPU), 1.0 / static_cast<double>(after_.target.ids.size()))});
    return collect(leaves, loop.rates_M.grad());
  }

  static void record(const std::string& name, double value) {
    std::ostringstream text;
    text << value;
    RecordProperty(name, text.str());
  }

  static double distance(const Gradient& a, const Gradient& b) {
    double squares = 0, whole = 0;
    for (const auto& [name, tensor] : a.theta) {
      squares += (tensor - b.theta.at(name)).pow(2).sum().item<double>();
      whole += tensor.pow(2).sum().item<double>();
    }
    squares += (a.rates_M - b.rates_M).pow(2).sum().item<double>();
    return std::sqrt(squares / (whole + a.rates_M.pow(2).sum().item<double>()));
  }

  Model model_;
  PairRows edits_;
  PairRows after_;
};

TEST_P(HypergradientOf, TwoStagesAreOneGraph) {
  const TensorTable theta = model_.weights.flatten();
  for (const int64_t steps : {1, 2, 3}) {
    const Gradient plain = inOneGraph(theta, loop(steps, 3));
    EXPECT_LT(distance(plain, inTwoStages(theta, loop(steps, 3))), 1e-12) << steps << " steps";
    EXPECT_LT(distance(plain, inTwoStages(theta, loop(steps, 100))), 1e-12) << steps << " steps, one chunk";
  }
}

TEST_P(HypergradientOf, InSinglePrecisionTheyAgreeWithinRounding) {
  TensorTable theta;
  for (const auto& [name, tensor] : model_.weights.flatten()) theta.emplace(name, tensor.to(at::kFloat));
  InnerLoop single = loop(1, 3);
  single.rates_M = single.rates_M.to(at::kFloat);
  const double apart = distance(inOneGraph(theta, single), inTwoStages(theta, single));
  record("distance", apart);
  EXPECT_LT(apart, 1e-5);
}

/// ⟨gradient, direction⟩ of θ and of the rates.
double along(const TensorTable& gradient, const TensorTable& direction) {
  double sum = 0;
  for (const auto& [name, tensor] : gradient) sum += (tensor * direction.at(name)).sum().item<double>();
  return sum;
}

TEST_P(HypergradientOf, IsWhatCentralDifferencesSay) {
  const TensorTable theta = model_.weights.flatten();
  for (const int64_t steps : {1, 2}) {
    const InnerLoop inner = loop(steps, 3);
    const Gradient exact = inTwoStages(theta, inner);
    InnerLoop first = inner;
    first.firstOrder = true;
    const Gradient approximate = inTwoStages(theta, first);
    constexpr double kStep = 1e-6;  // a unit of a ReLU that switches within it would show as a jump
    double farthest = 0, worst = 0;
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      TensorTable direction;
      for (const auto& [name, tensor] : theta) {
        direction.emplace(name, Random(seed, name).normalTensor(tensor.sizes().vec(), 0, 1).to(at::kDouble));
      }
      const auto moved = [&](double by) {
        TensorTable other;
        for (const auto& [name, tensor] : theta) other.emplace(name, tensor + by * direction.at(name));
        return other;
      };
      const double slope = (value(moved(kStep), inner) - value(moved(-kStep), inner)) / (2 * kStep);
      const double error = std::abs(along(exact.theta, direction) - slope) / std::abs(slope);
      EXPECT_LT(error, 1e-3) << steps << " steps";
      worst = std::max(worst, error);
      farthest = std::max(farthest, std::abs(along(approximate.theta, direction) - slope) / std::abs(slope));
    }
    record("worstOf" + std::to_string(steps), worst);
    EXPECT_GT(farthest, 1e-2) << "a gradient of first order must not pass";
    for (int64_t m = 0; m < inner.rates_M.numel(); ++m) {
      const auto moved = [&](double by) {
        InnerLoop other = inner;
        other.rates_M = inner.rates_M.clone();
        other.rates_M[m] += by;
        return other;
      };
      const double slope = (value(theta, moved(kStep)) - value(theta, moved(-kStep))) / (2 * kStep);
      EXPECT_NEAR(exact.rates_M[m].item<double>(), slope, 1e-3 * std::abs(slope) + 1e-9) << "rate " << m;
    }
  }
}

TEST_P(HypergradientOf, TwoStepsAreOneAfterTheOther) {
  const InnerPass twice = innerPass(model_, loop(2, 3), edits_, quiet);
  const InnerPass once = innerPass(model_, loop(1, 3), edits_, quiet);
  const Model between{model_.architecture, model_.weights.with(once.weights[1]), model_.device};
  const InnerPass again = innerPass(between, loop(1, 3), edits_, quiet);
  for (const auto& [name, W] : again.weights[1]) EXPECT_TRUE(at::equal(W, twice.weights[2].at(name))) << name;
}

INSTANTIATE_TEST_SUITE_P(
    Families, HypergradientOf,
    ::testing::Values(Family{"t5", [] { return tiny::config(); }},
                      Family{"t5_gated_untied",
                             [] {
                               return tiny::with(
                                   tiny::config(),
                                   R"({"feed_forward_proj": "gated-gelu", "tie_word_embeddings": false})");
                             }},
                      Family{"bart", [] { return tiny::bartConfig(); }},
                      Family{"bert", [] { return tiny::bertConfig(); }},
                      Family{"distilbert", [] { return tiny::distilbertConfig(); }},
                      Family{"gpt2", [] { return tiny::gpt2Config(); }}),
    [](const auto& family) { return std::string(family.param.name); });

}  // namespace
}  // namespace seprog
