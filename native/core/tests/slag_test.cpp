// SLAG: the hypernetwork against its formulas, runs of edits against their definition, training and edits.
#include "core/editors/slag/slag.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <functional>

#include "core/editors/slag/hypernetwork.h"
#include "core/editors/slag/inner_steps.h"
#include "core/editors/slag/run.h"
#include "core/editors/slag/slag_losses.h"
#include "core/instrument/counting_allocator.h"
#include "core/instrument/meter.h"
#include "core/io/safetensors.h"
#include "failure.h"
#include "tiny.h"

namespace seprog {
namespace {

using tiny::figure;

JobContext quiet;

/// Sizes to match the tiny models; `more` is appended inside the object, starting with a comma.
Json spec(const std::string& more = "") {
  return Json::parse(
      R"({"kind": "slag", "seed": 3, "lstmWidth": 8, "conditionWidth": 12, "conditionerWidth": 10)" + more +
      "}");
}

SlagSpec readSpec(const std::string& more = "") { return readSlagSpec(spec(more)); }

const std::vector<std::pair<const char*, Json>>& families() {
  static const std::vector<std::pair<const char*, Json>> all = {
      {"t5", tiny::config()},
      {"bart", tiny::with(tiny::bartConfig(), R"({"init_std": 0.2})")},
      {"bert", tiny::with(tiny::bertConfig(), R"({"initializer_range": 0.2})")},
      {"gpt2", tiny::gpt2Config()}};
  return all;
}

/// Random episodes that a family can answer.
EpisodeBatch episodesFor(const Architecture& family, uint64_t seed, int64_t episodes, int64_t edits) {
  EpisodeBatch batch = tiny::episodes(seed, episodes, edits);
  if (family.answerKind() != AnswerKind::Label) return batch;
  Random random(seed, "classes");
  for (PairRows* rows : {&batch.edits, &batch.inScope, &batch.outScope}) {
    rows->target = tiny::classes(random, episodes * edits, 2);
  }
  return batch;
}

EditRequests requestsOf(const EpisodeBatch& batch, int64_t first, int64_t count) {
  return {{slice(batch.edits.source, first, count), slice(batch.edits.target, first, count)},
          slice(batch.editText, first, count),
          std::vector<std::string>(count, "edit")};
}

TokenBatch padded(const TokenRows& rows) { return pad(rows, 0, tiny::kVocabulary, at::kCPU); }

TensorTable weightsOf(const Editor& editor) {
  const tiny::Folder folder;
  editor.save(folder.path(), false);
  return readSafetensors(folder / "editor.safetensors").tensors;
}

/// The editor with one of its tensors changed, through its checkpoint.
void rewrite(Editor& editor, const std::string& name,
             const std::function<at::Tensor(const at::Tensor&)>& change) {
  const tiny::Folder folder;
  editor.save(folder.path(), false);
  TensorTable table = readSafetensors(folder / "editor.safetensors").tensors;
  table[name] = change(table.at(name)).contiguous();
  writeSafetensors(folder / "editor.safetensors", table);
  editor.restore(folder.path(), false);
}

void expectClose(const at::Tensor& got, const at::Tensor& wanted, double relative, const std::string& what) {
  const double scale = wanted.abs().max().item<double>();
  EXPECT_LE((got - wanted).abs().max().item<double>(), relative * scale + 1e-9) << what;
}

// slag.md test 1.
TEST(SlagNetwork, UpdatesFollowTheFormula) {
  const auto base = tiny::model();
  const Hypernetwork fresh(readSpec(R"(, "maxScale": 3)"), *base);
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
  const Hypernetwork network(readSpec(), *tiny::model());
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
  Hypernetwork network(readSpec(), *tiny::model());
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
  const Hypernetwork network(readSpec(), *tiny::model());
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
  const Hypernetwork network = Hypernetwork(readSpec(), *base).tracked();
  EpisodeBatch batch = tiny::episodes(1, 1, 2);
  batch.editText.ids[0] = 0;
  const Gradients gradients = slagLosses(*base, network, batch, true, quiet).gradients;
  const at::Tensor& ofTable = gradients.at("embedding");
  EXPECT_EQ(ofTable[0].abs().max().item<double>(), 0);
  EXPECT_GT(ofTable[batch.editText.ids[1]].abs().max().item<double>(), 0);
}

// slag.md test 8.
TEST(SlagSpec, WeightsOfTheTermsThatAreThereSumToOne) {
  const SlagSpec options = readSpec(R"(, "mainWeight": 2, "paraphraseWeight": 0.5, "klWeight": 3)");
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
    expectFailure(ErrorCode::ConfigInvalid, part, [&] { readSpec(more); });
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
  for (const auto& [name, config] : families()) {
    SCOPED_TRACE(name);
    const Model base = createModel(config, 4, at::kCPU);
    const EpisodeBatch batch = episodesFor(*base.architecture, 6, 2, 3);
    const std::string more = R"(, "innerSteps": 3, "sequentialTrain": 2, "microBatch": 2, "maxScale": 4)";
    const Hypernetwork stages(readSpec(more), base);
    const Hypernetwork graph(readSpec(more + R"(, "hypergradient": "create_graph")"), base);
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
  for (const auto& [name, config] : families()) {
    SCOPED_TRACE(name);
    const Model base = inDouble(createModel(config, 4, at::kCPU));
    const EpisodeBatch batch = episodesFor(*base.architecture, 6, 1, 3);
    const Hypernetwork network =
        inDouble(Hypernetwork(readSpec(R"(, "innerSteps": 1, "sequentialTrain": 1, "maxScale": 20)"), base));
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
  const Hypernetwork network = Hypernetwork(readSpec(R"(, "maxScale": 8)"), *base).tracked();
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
        readSpec(std::string(R"(, "innerSteps": 1, "maxScale": 8, "klMaskPads": )") + masked), *base);
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
    const auto editor = makeSlag(spec(R"(, "innerSteps": 2, "microBatch": 8)"), base);
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

// slag.md test 7.
TEST(Slag, TheBaseNeverChanges) {
  const auto base = tiny::model();
  const uint64_t before = base->weights.checksum();
  const Hypernetwork network(readSpec(), *base);
  EXPECT_NE(network.parameters().at("embedding").const_data_ptr(),
            base->architecture->embeddingTable(base->weights).const_data_ptr());
  const auto editor = makeSlag(spec(), base);
  for (uint64_t step = 0; step < 3; ++step) editor->trainStep(tiny::episodes(step, 1, 3), 1e-2, quiet);
  const auto edited = editor->edit(requestsOf(tiny::episodes(1, 1, 3), 0, 3), baseScorer(base), quiet);
  EXPECT_EQ(base->weights.checksum(), before);
  for (const auto& [name, tensor] : base->weights.flatten()) EXPECT_FALSE(tensor.requires_grad()) << name;
  EXPECT_EQ(&edited->base(), base.get());
}

// slag.md test 6.
TEST(Slag, EditsOneAfterAnotherAreThoseOfOneCall) {
  const auto base = tiny::model();
  const auto editor = makeSlag(spec(R"(, "maxScale": 8, "innerSteps": 2)"), base);
  const EpisodeBatch batch = tiny::episodes(4, 1, 2);
  const auto both = editor->edit(requestsOf(batch, 0, 2), baseScorer(base), quiet);
  const auto first = editor->edit(requestsOf(batch, 0, 1), baseScorer(base), quiet);
  const auto second = editor->edit(requestsOf(batch, 1, 1), first, quiet);
  const auto logits = [&](const Scorer& scorer) { return scorer.targetLogits(batch.outScope, quiet); };
  expectClose(logits(*second), logits(*both), 1e-5, "logits");
  EXPECT_GT((logits(*first) - logits(*both)).abs().max().item<double>(), 1e-4);
  EXPECT_GT((logits(*first) - logits(*baseScorer(base))).abs().max().item<double>(), 1e-4);

  const auto swapped = editor->edit({{pick(batch.edits.source, {1, 0}), pick(batch.edits.target, {1, 0})},
                                     pick(batch.editText, {1, 0}),
                                     {"b", "a"}},
                                    baseScorer(base), quiet);
  EXPECT_GT((logits(*swapped) - logits(*both)).abs().max().item<double>(), 1e-7) << "the order matters";
}

TEST(Slag, RefusesOtherModelsAndEditors) {
  const auto base = tiny::model();
  const auto editor = makeSlag(spec(), base);
  const EpisodeBatch batch = tiny::episodes(4, 1, 2);
  const auto edited = editor->edit(requestsOf(batch, 0, 2), baseScorer(base), quiet);
  const auto other = makeSlag(spec(R"(, "innerSteps": 2)"), base);
  rewrite(*other, "linear.bias", [](const at::Tensor& bias) { return bias + 1; });
  EXPECT_EQ(tiny::codeOf([&] { other->edit(requestsOf(batch, 0, 2), edited, quiet); }),
            ErrorCode::Unsupported);
  EXPECT_EQ(tiny::codeOf([&] { editor->edit(requestsOf(batch, 0, 2), baseScorer(tiny::model(9)), quiet); }),
            ErrorCode::Unsupported);
  EditRequests uneven = requestsOf(batch, 0, 2);
  uneven.editText = slice(uneven.editText, 0, 1);
  EXPECT_EQ(tiny::codeOf([&] { editor->edit(uneven, baseScorer(base), quiet); }), ErrorCode::DataInvalid);
}

TEST(Slag, EditsNothingWithoutEdits) {
  const auto base = tiny::model();
  const auto edited = makeSlag(spec(), base)->edit({}, baseScorer(base), quiet);
  const EpisodeBatch batch = tiny::episodes(4, 1, 2);
  EXPECT_EQ(edited->score(batch.edits, quiet).logProb, baseScorer(base)->score(batch.edits, quiet).logProb);
}

// slag.md test 9.
TEST(Slag, StopsBehindTheStepThatMakesTheEditRight) {
  const auto base = tiny::model();
  const auto editor = makeSlag(spec(R"(, "maxScale": 1e-6, "innerSteps": 4)"), base);
  EpisodeBatch batch = tiny::episodes(4, 1, 2);
  const auto wrong = editor->edit(requestsOf(batch, 0, 2), baseScorer(base), quiet)->editFigures();
  EXPECT_EQ(figure(wrong, "steps"), 4);
  EXPECT_EQ(figure(wrong, "stoppedShare"), 0);

  // The first edit asks for what the base says already.
  TokenRows said = baseScorer(base)->generate(slice(batch.edits.source, 0, 1), {3, true}, quiet).tokens;
  const TokenRows asked = slice(batch.edits.target, 1, 1);
  said.ids.insert(said.ids.end(), asked.ids.begin(), asked.ids.end());
  said.lengths.push_back(asked.lengths[0]);
  batch.edits.target = said;
  const auto half = editor->edit(requestsOf(batch, 0, 2), baseScorer(base), quiet)->editFigures();
  EXPECT_EQ(figure(half, "steps"), 2.5);
  EXPECT_EQ(figure(half, "stoppedShare"), 0.5);
  EXPECT_GT(figure(half, "updateNorm"), 0);
  const Figures trained = editor->validate(batch, quiet);
  EXPECT_EQ(figure(trained, "innerSteps"), 2.5);
  EXPECT_EQ(figure(trained, "rowAccuracy"), 0.5);
}

// slag.md test 10.
TEST(Slag, LearnsOneEditByHeart) {
  for (const auto& [name, config] : families()) {
    SCOPED_TRACE(name);
    const auto base = std::make_shared<const Model>(createModel(config, 2, at::kCPU));
    EpisodeBatch batch = episodesFor(*base->architecture, 8, 1, 1);
    if (base->architecture->answerKind() == AnswerKind::Label) {
      const int32_t said = baseScorer(base)->generate(batch.edits.source, {1, true}, quiet).tokens.ids[0];
      batch.edits.target.ids[0] = 1 - said;
    }
    batch.inScope = batch.edits;
    const auto editor = makeSlag(spec(R"(, "klWeight": 0.1, "maxScale": 4, "innerSteps": 3)"), base);
    const auto learnt = [&] { return figure(editor->validate(batch, quiet), "rowAccuracy") == 1; };
    EXPECT_FALSE(learnt());
    int steps = 0;  // looked at every tenth
    for (; steps < 200 && (steps % 10 != 0 || !learnt()); ++steps) editor->trainStep(batch, 1e-2, quiet);
    EXPECT_LT(steps, 200);
    const auto edited = editor->edit(requestsOf(batch, 0, 1), baseScorer(base), quiet);
    EXPECT_EQ(figure(edited->editFigures(), "stoppedShare"), 1);
    EXPECT_EQ(edited->generate(batch.edits.source, {batch.edits.target.lengths[0], true}, quiet).tokens.ids,
              batch.edits.target.ids);
  }
}

TEST(Slag, LearnsEditsInARow) {
  const auto base = tiny::model(2);
  const EpisodeBatch batch = tiny::episodes(8, 1, 4);
  const auto editor = makeSlag(spec(R"(, "innerSteps": 2, "maxScale": 4)"), base);
  const double before = figure(editor->validate(batch, quiet), "editLoss");
  for (int step = 0; step < 40; ++step) editor->trainStep(batch, 1e-2, quiet);
  EXPECT_LT(figure(editor->validate(batch, quiet), "editLoss"), 0.6 * before);
}

TEST(Slag, ValidationIsTheLossOfTheNextStep) {
  for (const auto& [name, config] : families()) {
    SCOPED_TRACE(name);
    const auto base = std::make_shared<const Model>(createModel(config, 2, at::kCPU));
    const EpisodeBatch batch = episodesFor(*base->architecture, 1, 2, 3);
    for (const char* way : {"two_stage", "create_graph"}) {
      const auto editor =
          makeSlag(spec(std::string(R"(, "innerSteps": 2, "hypergradient": ")") + way + "\""), base);
      const std::string fingerprint = editor->fingerprint();
      const Figures validated = editor->validate(batch, quiet);
      EXPECT_EQ(editor->fingerprint(), fingerprint);
      const Figures trained = editor->trainStep(batch, 1e-2, quiet);
      EXPECT_NE(editor->fingerprint(), fingerprint);
      EXPECT_EQ(trained.size(), validated.size() + 1);
      for (const auto& [figureName, value] : validated) {
        EXPECT_NEAR(figure(trained, figureName), value, 1e-5) << figureName;
      }
    }
  }
}

TEST(Slag, ResumesToTheSameBits) {
  const tiny::Folder folder;
  const auto base = tiny::model();
  const auto step = [](Editor& editor, uint64_t i) {
    editor.trainStep(tiny::episodes(i, 1, 3), 1e-2, quiet);
  };
  const auto whole = makeSlag(spec(), base);
  for (uint64_t i = 0; i < 4; ++i) step(*whole, i);
  const auto first = makeSlag(spec(), base);
  for (uint64_t i = 0; i < 2; ++i) step(*first, i);
  first->save(folder.path(), true);
  const auto second = makeSlag(spec(R"(, "innerSteps": 5)"), base);
  step(*second, 9);
  second->restore(folder.path(), true);
  EXPECT_EQ(second->fingerprint(), first->fingerprint());
  for (uint64_t i = 2; i < 4; ++i) step(*second, i);
  EXPECT_EQ(second->fingerprint(), whole->fingerprint());
}

TEST(Slag, CancelAndBadBatchesChangeNothing) {
  const auto editor = makeSlag(spec(), tiny::model());
  editor->trainStep(tiny::episodes(1, 1, 3), 1e-2, quiet);
  const std::string fingerprint = editor->fingerprint();
  const TensorTable before = weightsOf(*editor);
  JobContext cancelled(std::make_shared<std::atomic<bool>>(true));
  EXPECT_EQ(tiny::codeOf([&] { editor->trainStep(tiny::episodes(2, 1, 3), 1e-2, cancelled); }),
            ErrorCode::Aborted);
  const auto code = [&](const std::function<void(EpisodeBatch&)>& spoil) {
    EpisodeBatch batch = tiny::episodes(2, 1, 3);
    spoil(batch);
    return tiny::codeOf([&] { editor->trainStep(batch, 1e-2, quiet); });
  };
  EXPECT_EQ(code([](EpisodeBatch& b) { b.episodes = 2; }), ErrorCode::DataInvalid);
  EXPECT_EQ(code([](EpisodeBatch& b) { b.editText = slice(b.editText, 0, 2); }), ErrorCode::DataInvalid);
  EXPECT_EQ(code([](EpisodeBatch& b) { b.outScope.target = slice(b.outScope.target, 0, 2); }),
            ErrorCode::DataInvalid);
  EXPECT_EQ(code([](EpisodeBatch& b) { b.edits.source.ids[0] = tiny::kVocabulary; }), ErrorCode::DataInvalid);
  EXPECT_EQ(code([](EpisodeBatch& b) { b.editText.ids.back() = -1; }), ErrorCode::DataInvalid);
  rewrite(*editor, "linear.bias", [](const at::Tensor& bias) { return at::full_like(bias, std::nan("")); });
  const std::string spoilt = editor->fingerprint();
  EXPECT_EQ(code([](EpisodeBatch&) {}), ErrorCode::NonFinite);
  EXPECT_EQ(editor->fingerprint(), spoilt);
  rewrite(*editor, "linear.bias", [&](const at::Tensor&) { return before.at("linear.bias"); });
  EXPECT_EQ(editor->fingerprint(), fingerprint);
}

TEST(Slag, RefusesCheckpointsOfAnotherMaking) {
  const auto base = tiny::model();
  const auto editor = makeSlag(spec(), base);
  const std::string fingerprint = editor->fingerprint();
  const auto refuses = [&](const Json& options, const std::shared_ptr<const Model>& of,
                           const std::string& part) {
    const tiny::Folder folder;
    makeSlag(options, of)->save(folder.path(), false);
    expectFailure(ErrorCode::CheckpointInvalid, part, [&] { editor->restore(folder.path(), false); });
    EXPECT_EQ(editor->fingerprint(), fingerprint);
  };
  refuses(spec(), tiny::model(5), "`baseChecksum`");
  refuses(spec(R"(, "maxScale": 2)"), base, "`spec.maxScale`");
  refuses(Json::parse(R"({"kind": "slag", "lstmWidth": 9, "conditionWidth": 12, "conditionerWidth": 10})"),
          base, "other sizes");
  const tiny::Folder folder;
  EXPECT_EQ(tiny::codeOf([&] { editor->restore(folder.path(), false); }), ErrorCode::CheckpointInvalid);
}

}  // namespace
}  // namespace seprog
