// SLAG: runs of edits against their definition: gradients by both ways and by differences, constants, padding, the peak.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/editors/slag/hypernetwork.h"
#include "core/editors/slag/run.h"
#include "core/editors/slag/slag_losses.h"
#include "core/instrument/counting_allocator.h"
#include "core/instrument/meter.h"
#include "slag_parts.h"

namespace seprog {
namespace {

using tiny::expectClose;
using tiny::figure;
using tiny::readTinySlagSpec;
using tiny::slagEpisodes;
using tiny::slagFamilies;
using tiny::slagSpec;

JobContext quiet;

Model inDouble(const Model& model) {
  TensorTable table;
  for (const auto& [name, tensor] : model.weights.flatten()) table.emplace(name, tensor.to(at::kDouble));
  return {model.architecture, Weights(std::move(table)), model.device};
}

Hypernetwork inDouble(const Hypernetwork& network) {
  TensorTable table;
  for (const auto& [name, tensor] : network.parameters()) table.emplace(name, tensor.to(at::kDouble));
  return network.with(std::move(table));
}

/// ‖a − b‖ / ‖b‖ over all entries, which must have the same names.
double distance(const Gradients& a, const Gradients& b) {
  EXPECT_EQ(a.size(), b.size());
  double apart = 0, length = 0;
  for (const auto& [name, tensor] : b) {
    apart += (a.at(name) - tensor).pow(2).sum().item<double>();
    length += tensor.pow(2).sum().item<double>();
  }
  return std::sqrt(apart / length);
}

// slag.md test 5.
TEST(SlagRun, StagesGiveTheGradientOfOneGraph) {
  for (const auto& [name, config] : slagFamilies()) {
    SCOPED_TRACE(name);
    const Model base = createModel(config, 4, at::kCPU);
    const EpisodeBatch batch = slagEpisodes(*base.architecture, 6, 2, 3);
    const std::string more = R"(, "innerSteps": 3, "sequentialTrain": 2, "microBatch": 2, "maxScale": 4)";
    const Hypernetwork stages(readTinySlagSpec(more), base);
    const Hypernetwork graph(readTinySlagSpec(more + R"(, "hypergradient": "create_graph")"), base);
    const auto lossesOf = [&](const Model& model, const Hypernetwork& network) {
      return slagLosses(model, network.tracked(), batch, true, quiet);
    };
    const SlagLosses single = lossesOf(base, stages);
    EXPECT_EQ(single.gradients.size(), stages.parameters().size());
    EXPECT_LT(distance(single.gradients, lossesOf(base, graph).gradients), 1e-5);
    const Model exact = inDouble(base);
    const SlagLosses byStages = lossesOf(exact, inDouble(stages));
    const SlagLosses byGraph = lossesOf(exact, inDouble(graph));
    EXPECT_LT(distance(byStages.gradients, byGraph.gradients), 1e-12);
    for (const auto& [figureName, value] : byGraph.figures) {
      EXPECT_NEAR(figure(byStages.figures, figureName), value, 1e-10) << figureName;
      EXPECT_NEAR(figure(single.figures, figureName), value, 1e-4) << figureName;
    }
  }
}

/// With one step an edit and one edit a run nothing that depends on the network counts as a constant: the gradient is
/// that of the loss.
TEST(SlagRun, GradientsAreWhatCentralDifferencesSay) {
  for (const auto& [name, config] : slagFamilies()) {
    SCOPED_TRACE(name);
    const Model base = inDouble(createModel(config, 4, at::kCPU));
    const EpisodeBatch batch = slagEpisodes(*base.architecture, 6, 1, 3);
    const Hypernetwork network = inDouble(
        Hypernetwork(readTinySlagSpec(R"(, "innerSteps": 1, "sequentialTrain": 1, "maxScale": 20)"), base));
    const Gradients gradients = slagLosses(base, network.tracked(), batch, true, quiet).gradients;
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      TensorTable direction;
      double along = 0;
      for (const auto& [parameter, tensor] : network.parameters()) {
        at::Tensor random = Random(seed, parameter).normalTensor(tensor.sizes().vec(), 0, 1).to(at::kDouble);
        if (parameter == "embedding") random[0].zero_();  // its row that is not trained
        along += (gradients.at(parameter) * random).sum().item<double>();
        direction.emplace(parameter, random);
      }
      const auto lossAt = [&](double by) {
        TensorTable moved;
        for (const auto& [parameter, tensor] : network.parameters()) {
          moved.emplace(parameter, tensor + by * direction.at(parameter));
        }
        return figure(slagLosses(base, network.with(moved), batch, false, quiet).figures, "loss");
      };
      constexpr double kStep = 1e-6;
      const double slope = (lossAt(kStep) - lossAt(-kStep)) / (2 * kStep);
      EXPECT_NEAR(along, slope, 1e-3 * std::abs(slope)) << seed;
    }
  }
}

TEST(SlagRun, UpdatesOfEarlierEditsAreConstants) {
  const auto base = tiny::model();
  const EpisodeBatch batch = tiny::episodes(6, 1, 2);
  const Hypernetwork network = Hypernetwork(readTinySlagSpec(R"(, "maxScale": 8)"), *base).tracked();
  const auto edit = [&](int64_t i) {
    return RunEdit{slice(batch.editText, i, 1),
                   {{slice(batch.edits.source, i, 1), slice(batch.edits.target, i, 1)},
                    {slice(batch.inScope.source, i, 1), slice(batch.inScope.target, i, 1)},
                    batch.outScope}};
  };
  TensorTable inOne, inTwo;
  Gradients one, two;
  const RunLosses whole = passRun(*base, network, {edit(0), edit(1)}, 0.5, inOne, &one, quiet);
  const RunLosses first = passRun(*base, network, {edit(0)}, 0.5, inTwo, &two, quiet);
  const RunLosses second = passRun(*base, network, {edit(1)}, 0.5, inTwo, &two, quiet);
  EXPECT_NEAR(whole.terms.total, first.terms.total + second.terms.total, 1e-4);
  for (const auto& [name, gradient] : one) expectClose(two.at(name), gradient, 1e-4, name);
  for (const auto& [name, update] : inOne) expectClose(inTwo.at(name), update, 1e-5, name);
  // The reference of the KL is the model in front of its own edit, not the base.
  TensorTable none;
  const RunLosses alone = passRun(*base, network, {edit(1)}, 0.5, none, nullptr, quiet);
  EXPECT_GT(std::abs(alone.terms.kl - second.terms.kl), 1e-7);
}

TEST(SlagRun, PadsCountOnlyWhereAsked) {
  const auto base = tiny::model();
  EpisodeBatch batch = tiny::episodes(2, 1, 4);
  const auto klOf = [&](const char* masked) {
    const Hypernetwork network(
        readTinySlagSpec(std::string(R"(, "innerSteps": 1, "maxScale": 8, "klMaskPads": )") + masked), *base);
    return figure(slagLosses(*base, network, batch, false, quiet).figures, "klLoss");
  };
  EXPECT_GT(klOf("false"), klOf("true"));
  for (PairRows* rows : {&batch.edits, &batch.outScope}) {
    rows->target = TokenRows{{5, 9, 1, 8, 6, 1, 7, 4, 1, 12, 3, 1}, {3, 3, 3, 3}};
  }
  EXPECT_EQ(klOf("false"), klOf("true"));
}

TEST(SlagRun, PeakDoesNotGrowWithTheEdits) {
  installCountingAllocator();
  const auto base = tiny::model();
  const auto peakOf = [&](int64_t edits) {
    const auto editor = makeSlag(slagSpec(R"(, "innerSteps": 2, "microBatch": 8)"), base);
    const EpisodeBatch batch = tiny::episodes(3, 1, edits);
    Meter meter(at::kCPU);
    JobContext context(nullptr, &meter);
    editor->trainStep(batch, 1e-3, context);
    const PhaseRecord total = meter.finish().total;
    return static_cast<double>(total.peakBytes - total.baselineBytes);
  };
  const double few = peakOf(8);
  EXPECT_GT(few, 0);
  EXPECT_LE(peakOf(128), 1.2 * few);
}

}  // namespace
}  // namespace seprog
