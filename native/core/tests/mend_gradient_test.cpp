// MEND: factors, networks, statistics, and the gradient of its loss by two ways and by differences.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "core/train/edit_loss.h"
#include "core/train/row_chunks.h"
#include "mend_parts.h"

namespace seprog {
namespace {

using namespace tiny;

JobContext quiet;

std::vector<Json> families() { return {config(), bartConfig(), bertConfig(), gpt2Config()}; }

std::string familyOf(const Json& config) { return config.find("model_type")->string(); }

double relativeError(const at::Tensor& got, const at::Tensor& expected) {
  const double size = expected.abs().max().item<double>();
  return (got - expected).abs().max().item<double>() / (size > 0 ? size : 1);
}

TEST(Mend, FactorsMultiplyToTheGradientOfTheWeight) {
  for (const Json& config : families()) {
    SCOPED_TRACE(familyOf(config));
    const MendParts parts(config);
    const PairRows edits = parts.episode(2, 5).edits;
    TensorTable leaves;
    for (const EditedMatrix& matrix : parts.modules.matrices()) {
      leaves.emplace(matrix.name, parts.base->weights.at(matrix.name).clone().set_requires_grad(true));
    }
    const Model learning{parts.base->architecture, parts.base->weights.with(leaves), at::kCPU};
    const EditLoss expected = editLoss(learning, leaves, edits, {}, true, quiet);
    for (const int64_t chunk : {5, 2}) {
      TensorTable sums;
      double loss = 0;
      for (int64_t first = 0; first < 5; first += chunk) {
        const ChunkFactors found =
            editFactors(*parts.base, parts.modules, edits, first, std::min(chunk, 5 - first));
        loss += found.loss;
        for (size_t i = 0; i < found.byMatrix.size(); ++i) {
          const EditedMatrix& matrix = parts.modules.matrices()[i];
          const Factors& factors = found.byMatrix[i];
          const at::Tensor product_OI = at::mm(factors.delta_NO.t(), factors.u_NI);
          const at::Tensor product = matrix.inputMajor ? product_OI.t() : product_OI;
          at::Tensor& sum = sums[matrix.name];
          sum = sum.defined() ? sum + product : product;
        }
      }
      EXPECT_NEAR(loss, expected.loss, 1e-5);
      for (const auto& [name, gradient] : expected.gradients) {
        EXPECT_LT(relativeError(sums.at(name), gradient), 1e-5) << name << " in chunks of " << chunk;
      }
    }
  }
}

TEST(Mend, OnlyRowsThatMeanSomethingAreKept) {
  const MendParts parts(bertConfig());
  const PairRows edits = parts.episode(2, 5).edits;
  const ChunkFactors found = editFactors(*parts.base, parts.modules, edits, 0, 5);
  // Behind the last attention only [CLS] is read: the other tokens have no gradient.
  EXPECT_EQ(found.byMatrix[2].u_NI.size(0), 5);
  EXPECT_EQ(found.byMatrix[3].u_NI.size(0), 5);
  EXPECT_EQ(found.byMatrix[0].u_NI.size(0), static_cast<int64_t>(edits.source.ids.size()));
}

TEST(Mend, NetworksStartAsTheIdentityAndLearn) {
  const MendParts parts(config(), "", false);
  for (const MatrixGroup& group : parts.modules.groups()) {
    const EditorNetwork network = parts.modules.network(parts.modules.parts(group).front());
    const at::Tensor x_ND = Random(1).normalTensor({7, group.inputs + group.outputs}, 0, 1);
    EXPECT_TRUE(at::equal(network.forward(x_ND, 1), x_ND));
    EXPECT_TRUE(at::equal(network.result(network.trace(x_ND, 1), 1), x_ND));
  }
  const Gradients gradients = parts.step(parts.episode(1, 3)).gradients;
  for (const auto& [name, gradient] : gradients) {
    if (!name.ends_with(".U")) continue;
    EXPECT_GT(gradient.abs().max().item<double>(), 0) << name;
  }
}

TEST(Mend, StatisticsAreThoseOfAllRowsAtOnce) {
  const at::Tensor rows = Random(5).normalTensor({60, 7}, 3, 2);
  Moments moments;
  for (const auto& [first, count] :
       {std::pair{0, 1}, std::pair{1, 20}, std::pair{21, 0}, std::pair{21, 39}}) {
    moments.add(rows.narrow(0, first, count));
  }
  EXPECT_EQ(moments.count(), 60);
  EXPECT_TRUE(at::allclose(moments.mean_W(), rows.to(at::kDouble).mean(0), 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(moments.deviation_W(), rows.to(at::kDouble).std(0), 1e-12, 1e-12));
}

TEST(Mend, PaddingChangesNothing) {
  for (const Json& config : families()) {
    SCOPED_TRACE(familyOf(config));
    const MendParts together(config, R"(, "microBatch": 16)"), alone(config, R"(, "microBatch": 1)");
    const EpisodeRows episode =
        together.episode(3, 6);  // rows of different lengths: padded together, not alone
    const auto a = together.step(episode), b = alone.step(episode);
    for (const auto& [name, gradient] : a.gradients) {
      EXPECT_LT(relativeError(b.gradients.at(name), gradient), 2e-3) << name;
    }
    for (size_t g = 0; g < a.statistics.size(); ++g) {
      EXPECT_EQ(a.statistics[g].u.count(), b.statistics[g].u.count());
      EXPECT_TRUE(at::allclose(a.statistics[g].delta.mean_W(), b.statistics[g].delta.mean_W(), 1e-4, 1e-8));
    }
  }
}

TEST(Mend, EqualEditsAddUp) {
  const MendParts parts(config());
  const EpisodeRows two = parts.episode(4, 2);
  PairRows twice;
  for (const int64_t row : {0, 0}) {
    for (const auto& [from, to] :
         {std::pair{&two.edits.source, &twice.source}, std::pair{&two.edits.target, &twice.target}}) {
      const TokenRows one = slice(*from, row, 1);
      to->ids.insert(to->ids.end(), one.ids.begin(), one.ids.end());
      to->lengths.insert(to->lengths.end(), one.lengths.begin(), one.lengths.end());
    }
  }
  const Statistics statistics = parts.step(two).statistics;
  EditUpdate both(parts.modules, *parts.base, twice, 0, quiet);
  both.freeze(statistics);
  const TensorTable pseudo = both.pseudoGradients();
  // The first of the two, its δ divided by the tokens of both.
  const ChunkFactors one = editFactors(*parts.base, parts.modules, twice, 0, 1);
  for (size_t i = 0; i < one.byMatrix.size(); ++i) {
    const EditedMatrix& matrix = parts.modules.matrices()[i];
    const Normaliser normaliser(statistics[matrix.group], at::kFloat, at::kCPU);
    const NetworkPart part = parts.modules.parts(parts.modules.groups()[matrix.group]).front();
    const at::Tensor y_ND = parts.modules.network(part).forward(
        normaliser.apply(one.byMatrix[i].u_NI, one.byMatrix[i].delta_NO), matrix.mode);
    const at::Tensor expected =
        at::mm(y_ND.narrow(1, matrix.inputs, matrix.outputs).t(), y_ND.narrow(1, 0, matrix.inputs)) * 2;
    EXPECT_LT(relativeError(pseudo.at(matrix.name), expected), 1e-4) << matrix.name;
  }
}

TEST(Mend, SummedEditsDoNotSeeEachOther) {
  const MendParts parts(config(), R"(, "reduction": "sum", "microBatch": 1)");
  const EpisodeRows three = parts.episode(4, 3);
  const Statistics statistics = parts.step(three).statistics;
  const auto pseudoOf = [&](const PairRows& edits) {
    EditUpdate update(parts.modules, *parts.base, edits, 0, quiet);
    update.freeze(statistics);
    return update.pseudoGradients();
  };
  TensorTable sums;
  for (int64_t row = 0; row < 3; ++row) {
    for (const auto& [name, pseudo] : pseudoOf(slice(three.edits, row, 1))) {
      at::Tensor& sum = sums[name];
      sum = sum.defined() ? sum + pseudo : pseudo;
    }
  }
  for (const auto& [name, pseudo] : pseudoOf(three.edits))
    EXPECT_LT(relativeError(pseudo, sums.at(name)), 1e-4) << name;
}

/// The switches that change what is differentiated.
const std::vector<std::string> kVariants = {"",
                                            R"(, "keepMiB": 0)",
                                            R"(, "shared": false)",
                                            R"(, "norm": false, "alphaInit": 1)",
                                            R"(, "init": "xavier")",
                                            R"(, "descent": false)",
                                            R"(, "reduction": "sum")",
                                            R"(, "transform": "separate")",
                                            R"(, "transform": "x_only")",
                                            R"(, "transform": "delta_only")",
                                            R"(, "transform": "one_sided")"};

TEST(Mend, StagesGiveTheGradientOfOneGraph) {
  for (const Json& config : families()) {
    for (const std::string& variant : kVariants) {
      if (!variant.empty() && familyOf(config) != "gpt2") continue;
      SCOPED_TRACE(familyOf(config) + variant);
      const MendParts staged = MendParts(config, variant + R"(, "microBatch": 2)").wide();
      const MendParts graph = MendParts(config, variant + R"(, "hypergradient": "create_graph")").wide();
      const EpisodeRows episode = staged.episode(6, 5);
      const auto a = staged.step(episode), b = graph.step(episode);
      for (const auto& [name, gradient] : b.gradients) {
        EXPECT_GT(gradient.abs().max().item<double>(), 0) << name;
        EXPECT_LT(relativeError(a.gradients.at(name), gradient), 1e-5) << name;
      }
      for (const auto& [name, value] : b.figures) {
        EXPECT_NEAR(figure(a.figures, name), value, 1e-9 + 1e-7 * std::abs(value)) << name;
      }
    }
  }
}

TEST(Mend, StagesGiveTheGradientOfOneGraphInSinglePrecision) {
  for (const Json& config : families()) {
    SCOPED_TRACE(familyOf(config));
    const MendParts staged(config, R"(, "microBatch": 2)");
    const MendParts graph(config, R"(, "microBatch": 2, "hypergradient": "create_graph")");
    const EpisodeRows episode = staged.episode(6, 5);
    const auto a = staged.step(episode), b = graph.step(episode);
    Gradients apart;
    for (const auto& [name, gradient] : b.gradients) apart.emplace(name, a.gradients.at(name) - gradient);
    EXPECT_LT(globalNorm(apart) / globalNorm(b.gradients), 1e-5);
  }
}

/// Central differences in double at the steepest coordinate of every parameter, α at each.
TEST(Mend, DifferencesGiveTheGradient) {
  for (const Json& config : families()) {
    SCOPED_TRACE(familyOf(config));
    const MendParts parts = MendParts(config, R"(, "microBatch": 2)").wide();
    const EpisodeRows episode = parts.episode(8, 4);
    const Gradients gradients = parts.step(episode).gradients;
    const auto lossAt = [&](const std::string& name, int64_t place, double by) {
      MendParts moved = parts;
      TensorTable table = parts.modules.parameters();
      table[name] = table.at(name).clone();
      table[name].view({-1}).select(0, place).add_(by);
      moved.modules = parts.modules.with(std::move(table));
      return figure(moved.step(episode).figures, "loss");
    };
    for (const auto& [name, gradient] : gradients) {
      std::vector<int64_t> places = {gradient.abs().argmax().item<int64_t>()};
      if (name == "alpha") {
        for (int64_t i = 0; i < gradient.numel(); ++i) places.push_back(i);
      }
      for (const int64_t place : places) {
        const double step = 1e-6;
        const double difference = (lossAt(name, place, step) - lossAt(name, place, -step)) / (2 * step);
        const double expected = gradient.view({-1}).select(0, place).item<double>();
        EXPECT_NEAR(difference, expected, 1e-3 * std::abs(expected) + 1e-9) << name << " at " << place;
      }
    }
  }
}

TEST(Mend, XavierStartAndUnsharedNetworksHaveTheirParameters) {
  const MendParts apart(config(), R"(, "shared": false)", false);
  EXPECT_EQ(apart.modules.groups().size(), apart.modules.matrices().size());
  EXPECT_EQ(apart.modules.parameters().count("net0.block1.s"), 0u);
  const MendParts random(config(), R"(, "init": "xavier")", false);
  const at::Tensor& U = random.modules.parameters().at("net16x32.block1.U");
  EXPECT_GT(U.abs().max().item<double>(), 0);
  const EditorNetwork network =
      random.modules.network(random.modules.parts(random.modules.groups().front()).front());
  const at::Tensor x_ND = Random(1).normalTensor({7, 48}, 0, 1);
  EXPECT_GE(network.forward(x_ND, 0).min().item<double>(), 0);  // no residual
  const MendParts drawn(config(), R"(, "projectionDraw": "xavier")", false);
  EXPECT_LE(drawn.modules.parameters().at("net16x32.block1.V").abs().max().item<double>(),
            std::sqrt(6.0 / 60));
  const MendParts normal(config(), "", false);
  EXPECT_NEAR(normal.modules.parameters().at("net16x32.block1.V").std().item<double>(), 1, 0.1);
  EXPECT_EQ(normal.modules.parameters().at("net16x32.block1.s").size(0), 4);
}

}  // namespace
}  // namespace seprog
