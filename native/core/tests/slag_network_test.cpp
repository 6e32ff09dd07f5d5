// SLAG: the hypernetwork against its formulas, and its options.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/editors/slag/hypernetwork.h"
#include "core/editors/slag/objective.h"
#include "core/editors/slag/slag_losses.h"
#include "failure.h"
#include "slag_parts.h"

namespace seprog {
namespace {

using tiny::expectClose;
using tiny::readTinySlagSpec;

JobContext quiet;

TokenBatch padded(const TokenRows& rows) { return pad(rows, 0, tiny::kVocabulary, at::kCPU); }

// slag.md test 1.
TEST(SlagNetwork, UpdatesFollowTheFormula) {
  const auto base = tiny::model();
  const Hypernetwork fresh(readTinySlagSpec(R"(, "maxScale": 3)"), *base);
  TensorTable parameters;  // not the fresh ones, whose rows have the norm g
  for (const auto& [name, tensor] : fresh.parameters()) {
    parameters.emplace(name, Random(7, name).normalTensor(tensor.sizes().vec(), 0, 0.5));
  }
  const Hypernetwork network = fresh.with(parameters);
  const at::Tensor c = Random(1, "c").normalTensor({12}, 0, 1);
  const UpdateRules rules = network.rules(c);
  ASSERT_EQ(rules.size(), network.edited().size());
  for (size_t j = 0; j < network.edited().size(); ++j) {
    const std::string& name = network.edited()[j];
    const int64_t m = base->weights.at(name).size(0), n = base->weights.at(name).size(1);
    const auto layer = [&](const std::string& lin, const at::Tensor& x) {
      const std::string at = "cond" + std::to_string(j) + "." + lin + ".";
      const at::Tensor v = parameters.at(at + "weight_v");
      const at::Tensor w = parameters.at(at + "weight_g") * v / v.pow(2).sum(1, true).sqrt();
      return at::mv(w, x) + parameters.at(at + "bias");
    };
    const at::Tensor out = layer("lin2", at::tanh(layer("lin1", c)));
    ASSERT_EQ(out.size(0), 2 * (m + n) + 1);
    const at::Tensor colA = out.narrow(0, 0, n), rowA = out.narrow(0, n, m);
    const at::Tensor colB = out.narrow(0, n + m, n), rowB = out.narrow(0, 2 * n + m, m);
    const at::Tensor gradient = Random(2, name).normalTensor({m, n}, 0, 1);
    const at::Tensor wanted = 3 * at::sigmoid(out[-1]) *
                              (gradient * at::softmax(rowA, 0).unsqueeze(1) * colA.unsqueeze(0) +
                               at::softmax(rowB, 0).unsqueeze(1) * colB.unsqueeze(0));
    const UpdateRule& rule = rules.at(name);
    expectClose(rule.update(gradient), wanted, 1e-5, name);
    const at::Tensor v = Random(3, name).normalTensor({m, n}, 0, 1);
    EXPECT_NEAR(rule.along(v * gradient, v).item<double>(), (v * wanted).sum().item<double>(), 1e-4) << name;
  }
}

// slag.md test 2.
TEST(SlagNetwork, NormalisedLayersStartAsPlainOnes) {
  const Hypernetwork network(readTinySlagSpec(), *tiny::model());
  const at::Tensor c = Random(1, "c").normalTensor({12}, 0, 1);
  const UpdateRules rules = network.rules(c);
  const auto at = [&](const std::string& name) { return network.parameters().at("cond0." + name); };
  const at::Tensor out = at::linear(at::tanh(at::linear(c, at("lin1.weight_v"), at("lin1.bias"))),
                                    at("lin2.weight_v"), at("lin2.bias"));
  expectClose(rules.at(network.edited()[0]).scale, at::sigmoid(out[-1]), 1e-6, "scale");
  expectClose(rules.at(network.edited()[0]).colA_n, out.narrow(0, 0, 16), 1e-5, "colA");
}

// slag.md test 3.
TEST(SlagNetwork, AClosedGateMovesNothing) {
  Hypernetwork network(readTinySlagSpec(), *tiny::model());
  TensorTable parameters = network.parameters();
  parameters.at("cond1.lin2.bias") = parameters.at("cond1.lin2.bias").clone();
  parameters.at("cond1.lin2.bias")[-1] = -200;
  const UpdateRules rules = network.with(parameters).rules(at::ones({12}));
  const at::Tensor gradient = at::ones({16, 32});
  EXPECT_EQ(rules.at(network.edited()[1]).update(gradient).abs().max().item<double>(), 0);
  EXPECT_GT(rules.at(network.edited()[3]).update(gradient).abs().max().item<double>(), 0);
}

// slag.md test 4.
TEST(SlagNetwork, PaddingAndNeighboursPlayNoPart) {
  const Hypernetwork network(readTinySlagSpec(), *tiny::model());
  Random random(5);
  const TokenRows texts = tiny::rows(random, 6, 1, 9);
  const at::Tensor together = network.condition(padded(texts));
  for (int64_t b = 0; b < texts.rows(); ++b) {
    expectClose(together[b], network.condition(padded(slice(texts, b, 1)))[0], 1e-5, std::to_string(b));
  }
  EXPECT_GT((together[0] - together[1]).abs().max().item<double>(), 1e-3);
  TokenRows empty = texts;
  empty.ids.erase(empty.ids.begin(), empty.ids.begin() + empty.lengths[0]);
  empty.lengths[0] = 0;
  expectFailure(ErrorCode::DataInvalid, "`editText[0]`", [&] { network.condition(padded(empty)); });
}

TEST(SlagNetwork, TheFirstRowOfTheTableGetsNoGradient) {
  const auto base = tiny::model();
  const Hypernetwork network = Hypernetwork(readTinySlagSpec(), *base).tracked();
  EpisodeBatch batch = tiny::episodes(1, 1, 2);
  batch.editText.ids[0] = 0;
  const Gradients gradients = slagLosses(*base, network, batch, true, quiet).gradients;
  const at::Tensor& ofTable = gradients.at("embedding");
  EXPECT_EQ(ofTable[0].abs().max().item<double>(), 0);
  EXPECT_GT(ofTable[batch.editText.ids[1]].abs().max().item<double>(), 0);
}

// slag.md test 8.
TEST(SlagSpec, WeightsOfTheTermsThatAreThereSumToOne) {
  const SlagSpec options = readTinySlagSpec(R"(, "mainWeight": 2, "paraphraseWeight": 0.5, "klWeight": 3)");
  for (const bool paraphrase : {false, true}) {
    for (const bool others : {false, true}) {
      const TermWeights weights = termWeights(options, paraphrase, others);
      EXPECT_NEAR(weights.main + weights.paraphrase + weights.kl, 1, 1e-12);
      EXPECT_EQ(weights.paraphrase > 0, paraphrase);
      EXPECT_EQ(weights.kl > 0, others);
    }
  }
  EXPECT_NEAR(termWeights(options, true, true).main, 2 / 5.5, 1e-12);
}

TEST(SlagSpec, NamesEveryWrongOption) {
  const auto refused = [](const std::string& more, const std::string& part) {
    expectFailure(ErrorCode::ConfigInvalid, part, [&] { readTinySlagSpec(more); });
  };
  refused(R"(, "innerSteps": 0)", "`editor.innerSteps`");
  refused(R"(, "klWeight": -1)", "`editor.klWeight`");
  refused(R"(, "mainWeight": 0)", "`editor.mainWeight`");
  refused(R"(, "sequentialTrain": 0)", "`editor.sequentialTrain`");
  refused(R"(, "hypergradient": "exact")", "`editor.hypergradient`");
  refused(R"(, "steps": 4)", "steps");
}

TEST(SlagSpec, OtherRowsStayInTheEpisodeAndRepeatNone) {
  EXPECT_EQ(otherRowsOf(9, 4, 3), (std::vector<int64_t>{9, 10, 11}));
  EXPECT_EQ(otherRowsOf(10, 4, 3), (std::vector<int64_t>{10, 11, 8}));
  EXPECT_EQ(otherRowsOf(5, 4, 15), (std::vector<int64_t>{5, 6, 7, 4}));
  EXPECT_TRUE(otherRowsOf(5, 4, 0).empty());
}

}  // namespace
}  // namespace seprog
