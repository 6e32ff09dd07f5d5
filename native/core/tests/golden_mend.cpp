// Kind `mend`: five training episodes and one of evaluation by the authors' code, value and gradient. `official_mend` adds
// where the method subtracts, steps one episode late and moves α at the networks' rate; `official_serac` only steps late.
#include <ATen/ATen.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "../editors/mend/mend.h"
#include "../editors/mend/mend_checkpoint.h"
#include "../editors/mend/mend_losses.h"
#include "../editors/mend/mend_optimizer.h"
#include "../io/safetensors.h"
#include "../train/locality_rows.h"
#include "golden.h"
#include "tiny.h"

namespace seprog {
namespace {

JobContext quiet;

double number(const Golden& golden, const char* key) { return golden.member(key).number(); }

std::set<int64_t> numbers(const Golden& golden, const char* key) {
  std::set<int64_t> found;
  for (const Json& one : golden.member(key).array()) found.insert(static_cast<int64_t>(one.number()));
  return found;
}

Json specOf(const Golden& golden) {
  return Json::Object{{"kind", "mend"},
                      {"cEdit", golden.member("c_edit")},
                      {"cLoc", golden.member("c_loc")},
                      {"alphaLearningRate", golden.member("lr_alpha")},
                      {"clipNorm", golden.member("grad_clip")},
                      {"rank", golden.member("rank")},
                      {"microBatch", 3}};
}

Json with(const Json& spec, const std::string& more) { return tiny::with(spec, more); }

/// Rows of ids that `mask` marks.
TokenRows marked(const at::Tensor& ids_BT, const at::Tensor& mask_BT) {
  return rowsOfLabels(at::where(mask_BT.ne(0), ids_BT, at::full_like(ids_BT, -100)));
}

/// The rows with one token more, which no one compares.
TokenRows lengthened(const TokenRows& rows) {
  TokenRows longer;
  size_t next = 0;
  for (const int32_t length : rows.lengths) {
    for (int32_t t = 0; t < length; ++t) longer.ids.push_back(rows.ids[next++]);
    longer.ids.push_back(0);
    longer.lengths.push_back(length + 1);
  }
  return longer;
}

/// Edit and in-scope rows: the loss is over the labels.
PairRows answered(const Golden& golden, const std::string& prefix) {
  const at::Tensor& ids = golden.input(prefix + "input_ids");
  const at::Tensor& mask = golden.input(prefix + "attention_mask");
  const at::Tensor& labels = golden.input(prefix + "labels");
  if (golden.family() == "gpt2")
    return {marked(ids, mask.ne(0).logical_and(labels.eq(-100))), rowsOfLabels(labels)};
  // BART's labels begin with the start token.
  const bool shifted = golden.family() == "bart";
  return {marked(ids, mask), rowsOfLabels(shifted ? labels.narrow(1, 1, labels.size(1) - 1) : labels)};
}

/// Out-of-scope rows. Of BART the authors compare one position more, behind the last answer token.
PairRows compared(const Golden& golden, const std::string& prefix) {
  if (golden.family() == "gpt2" || golden.family() == "bert") return answered(golden, prefix);
  const TokenRows source =
      marked(golden.input(prefix + "input_ids"), golden.input(prefix + "attention_mask"));
  const at::Tensor& decoded = golden.input(prefix + "decoder_attention_mask");
  if (golden.family() == "t5") return {source, marked(golden.input(prefix + "labels"), decoded)};
  const at::Tensor& inputs = golden.input(prefix + "decoder_input_ids");
  const int64_t answers = inputs.size(1) - 1;
  return {source, lengthened(marked(inputs.narrow(1, 1, answers), decoded.narrow(1, 1, answers)))};
}

struct Case {
  explicit Case(const Golden& golden)
      : base(std::make_shared<const Model>(loadModel(golden.folder() + "/model", at::kCPU))) {
    for (const std::string& name : golden.namesWith("init.")) {
      parameters[name.substr(5)] = golden.input(name).clone();
    }
    const auto count = static_cast<int64_t>(number(golden, "episode_eval")) + 1;
    for (int64_t e = 0; e < count; ++e) {
      const std::string prefix = "in.ep" + std::to_string(e) + ".";
      episodes.push_back({answered(golden, prefix + "edit."), answered(golden, prefix + "outer."),
                          compared(golden, prefix + "loc.")});
    }
  }

  MendModules modules(const Json& spec) const {
    TensorTable own;
    for (const auto& [name, tensor] : parameters) own.emplace(name, tensor.clone());
    return MendModules(readMendSpec(spec), *base).with(std::move(own));
  }

  std::shared_ptr<const Model> base;
  TensorTable parameters;
  std::vector<EpisodeRows> episodes;
};

/// Which episodes a replay steps behind, and what it is called in the case.
struct Schedule {
  std::string prefix;  // of names: "", "official_serac.", "official_mend."
  std::set<int64_t> stepsAfter;
};

void expectIfStored(Golden& golden, const std::string& name, const at::Tensor& got) {
  if (golden.has(name)) golden.expect(name, got);
}

/// Puts our kept rows where the case has rows of two factors that are not all zeros.
void expectFactors(Golden& golden, const std::string& episode, size_t matrix, const Factors& factors) {
  const std::string index = "." + std::to_string(matrix);
  const at::Tensor u = golden.input(episode + "u" + index).flatten(0, 1);
  const at::Tensor delta = golden.input(episode + "delta" + index).flatten(0, 1);
  const at::Tensor kept = u.ne(0).any(1).logical_and(delta.ne(0).any(1)).nonzero().squeeze(1);
  ASSERT_EQ(factors.u_NI.size(0), kept.size(0)) << episode << matrix;
  golden.expect(episode + "u" + index,
                u.index_copy(0, kept, factors.u_NI).view_as(golden.input(episode + "u" + index)));
  golden.expect(episode + "delta" + index,
                delta.index_copy(0, kept, factors.delta_NO).view_as(golden.input(episode + "delta" + index)));
}

/// Factors, transformed factors, pseudo-gradients and edited weights of an episode, from statistics in front of it.
void expectUpdate(Golden& golden, const Case& test, const MendModules& modules, const std::string& episode,
                  const EpisodeRows& rows, Statistics statistics, bool learns) {
  EditUpdate update(modules, *test.base, rows.edits, 0, quiet);
  Statistics own = statistics;
  if (learns) {
    update.learn(own);
  } else {
    update.freeze(own);
  }
  const TensorTable pseudo = update.pseudoGradients();
  const TensorTable edited = editedWeights(modules, test.base->weights, pseudo);
  for (size_t i = 0; i < modules.matrices().size(); ++i) {
    golden.expect(episode + "edited." + std::to_string(i), edited.at(modules.matrices()[i].name));
  }
  if (!golden.has(episode + "u.0")) return;
  const ChunkFactors factors = editFactors(*test.base, modules, rows.edits, 0, rows.edits.rows());
  for (size_t i = 0; i < modules.matrices().size(); ++i) {
    const EditedMatrix& matrix = modules.matrices()[i];
    const Factors& ofMatrix = factors.byMatrix[i];
    expectFactors(golden, episode, i, ofMatrix);
    FactorMoments& known = statistics[matrix.group];
    if (learns) {
      known.u.add(ofMatrix.u_NI);
      known.delta.add(ofMatrix.delta_NO);
    }
    const NetworkPart part = modules.parts(modules.groups()[matrix.group]).front();
    const at::Tensor y_ND = modules.network(part).forward(
        Normaliser(known, at::kFloat, at::kCPU).apply(ofMatrix.u_NI, ofMatrix.delta_NO), matrix.mode);
    const std::string index = "." + std::to_string(i);
    golden.expect(episode + "ut" + index, y_ND.narrow(1, 0, matrix.inputs));
    golden.expect(episode + "dt" + index, y_ND.narrow(1, matrix.inputs, matrix.outputs));
    golden.expect(episode + "mode" + index, at::scalar_tensor(matrix.mode, at::kLong));
    golden.expect(episode + "pseudo" + index, pseudo.at(matrix.name));
  }
}

void expectStatistics(Golden& golden, const MendModules& modules, const std::string& episode,
                      const Statistics& statistics) {
  for (size_t g = 0; g < statistics.size(); ++g) {
    const std::string prefix = episode + "after.stats" + modules.groups()[g].name + ".";
    golden.expect(prefix + "k", at::full({1}, static_cast<double>(statistics[g].u.count())));
    for (const auto& [name, moments] :
         {std::pair{"u", statistics[g].u}, std::pair{"v", statistics[g].delta}}) {
      golden.expect(prefix + name + "_mean", moments.mean_W());
      golden.expect(prefix + name + "_s", moments.squares_W());
      golden.expect(prefix + name + "_std", moments.deviation_W());
    }
  }
}

void expectFigures(Golden& golden, const std::string& prefix, const Figures& figures) {
  expectIfStored(golden, prefix + "loss_edit", at::scalar_tensor(tiny::figure(figures, "editLoss")));
  expectIfStored(golden, prefix + "loss_loc", at::scalar_tensor(tiny::figure(figures, "localityLoss")));
  expectIfStored(golden, prefix + "loss_total", at::scalar_tensor(tiny::figure(figures, "loss")));
  expectIfStored(golden, prefix + "acc_edit", at::scalar_tensor(tiny::figure(figures, "rowAccuracy")));
}

/// Adam makes a step of a gradient that is rounding noise, so such coordinates are left out from then on.
void expectStepped(Golden& golden, const std::string& name, const at::Tensor& got, at::Tensor& noise,
                   const at::Tensor& gradient) {
  const at::Tensor small = gradient.abs().lt(1e-7).logical_and_(gradient.ne(0));
  noise = noise.defined() ? noise.logical_or(small) : small;
  EXPECT_LT(noise.to(at::kFloat).mean().item<double>(), 0.5) << name;
  golden.expect(name, at::where(noise, golden.input(name), got));
}

/// All episodes, optimiser steps between them.
void replay(Golden& golden, const Case& test, const Json& spec, const Schedule& schedule) {
  const MendModules modules = test.modules(spec);
  MendOptimizer optimizer(modules.spec(), modules.parameters());
  Statistics statistics(modules.groups().size());
  Gradients accumulated = zeroGradients(modules.parameters());
  const auto last = static_cast<int64_t>(number(golden, "episode_eval"));
  TensorTable noise;
  int64_t steps = 0;
  for (int64_t e = 0; e < last; ++e) {
    const std::string episode = schedule.prefix + "ep" + std::to_string(e) + ".";
    if (golden.has(episode + "edited.0")) {
      expectUpdate(golden, test, modules, episode, test.episodes[e], statistics, true);
    }
    Gradients own = zeroGradients(modules.parameters());
    const Figures figures = trainingLosses(*test.base, modules, test.episodes[e], 1, statistics, own, quiet);
    expectFigures(golden, episode, figures);
    for (const auto& [name, gradient] : own) {
      expectIfStored(golden, episode + "grad." + name, gradient);
      accumulated.at(name).add_(gradient, 1 / number(golden, "accumulate"));
    }
    if (schedule.prefix.empty()) expectStatistics(golden, modules, episode, statistics);
    if (schedule.stepsAfter.count(e) == 0) continue;
    const std::string step = schedule.prefix + "step" + std::to_string(++steps) + ".";
    const double norm = optimizer.step(modules.parameters(), accumulated, number(golden, "lr"));
    expectIfStored(golden, step + "grad_norm", at::scalar_tensor(norm));
    for (const auto& [name, parameter] : modules.parameters()) {
      expectStepped(golden, step + name, parameter, noise[name], accumulated.at(name));
      accumulated.at(name).zero_();
    }
  }
  if (!schedule.prefix.empty()) return;
  const std::string episode = "ep" + std::to_string(last) + ".";
  expectUpdate(golden, test, modules, episode, test.episodes[last], statistics, false);
  expectFigures(golden, episode,
                validationLosses(*test.base, modules, test.episodes[last], statistics, quiet));
  expectStatistics(golden, modules, episode, statistics);
}

/// The reference path has the gradients of the authors, too.
void checkOneGraph(Golden& golden, const Case& test, const Json& spec) {
  const MendModules modules = test.modules(spec);
  Statistics statistics(modules.groups().size());
  Gradients gradients = zeroGradients(modules.parameters());
  trainingLosses(*test.base, modules, test.episodes.front(), 1, statistics, gradients, quiet);
  for (const auto& [name, gradient] : gradients) golden.expect("ep0.grad." + name, gradient);
}

TokenRows joined(const TokenRows& a, const TokenRows& b) {
  TokenRows both = a;
  both.ids.insert(both.ids.end(), b.ids.begin(), b.ids.end());
  both.lengths.insert(both.lengths.end(), b.lengths.begin(), b.lengths.end());
  return both;
}

PairRows joined(const PairRows& a, const PairRows& b) {
  return {joined(a.source, b.source), joined(a.target, b.target)};
}

/// The same steps and the last edit through the editor as others use it.
void checkEditor(Golden& golden, const Case& test) {
  const auto editor = makeMend(specOf(golden), test.base);
  const tiny::Folder folder;
  editor->save(folder.path(), false);
  writeSafetensors(folder / "editor.safetensors", test.parameters);
  editor->restore(folder.path(), false);
  for (size_t step = 0; step < 2; ++step) {
    const EpisodeRows& first = test.episodes[2 * step];
    const EpisodeRows& second = test.episodes[2 * step + 1];
    EpisodeBatch batch;
    batch.episodes = 2;
    batch.edits = joined(first.edits, second.edits);
    batch.inScope = joined(first.inScope, second.inScope);
    batch.outScope = joined(first.outScope, second.outScope);
    editor->trainStep(batch, number(golden, "lr"), quiet);
    editor->save(folder.path(), false);
    const TensorTable after = readSafetensors(folder / "editor.safetensors").tensors;
    for (const auto& [name, tensor] : test.parameters) {
      golden.expect("step" + std::to_string(step + 1) + "." + name, after.at(name));
    }
  }
}

/// Where the authors' two repositories and the method differ, the numbers do: none of the three could pass for another.
void expectThreeDifferent(Golden& golden) {
  const auto apart = [&](const std::string& a, const std::string& b) {
    const double bound = golden.member("atol").find(a)->number() + golden.member("atol").find(b)->number();
    const double distance = (golden.input(a) - golden.input(b)).abs().max().item<double>();
    EXPECT_GT(distance, bound) << golden.folder() << ": " << a << " and " << b;
  };
  apart("ep0.edited.0", "official_mend.ep0.edited.0");  // sign of the update
  apart("step2.alpha", "official_serac.step2.alpha");   // episodes in front of a step
  apart("step1.alpha", "official_mend.step1.alpha");    // rate of α
  apart("official_serac.step1.alpha", "official_mend.step1.alpha");
}

/// Logits of the base on the first out-of-scope rows, at every compared position.
void expectBaseLogits(Golden& golden, const Case& test) {
  const std::string name = "base_logits_loc0";
  const PairRows rows = localityRows(*test.base->architecture, test.episodes.front().outScope);
  const at::Tensor logits_NV = baseScorer(test.base)->targetLogits(rows, quiet);
  const at::Tensor& expected = golden.input(name);
  if (golden.family() == "bert") return golden.expect(name, logits_NV.narrow(1, 1, 1).view_as(expected));
  at::Tensor got = expected.clone();
  int64_t next = 0;
  for (int64_t b = 0; b < rows.rows(); ++b) {
    const int64_t length = rows.target.lengths[b];
    got[b].narrow(0, 0, length).copy_(logits_NV.narrow(0, next, length));
    next += length;
  }
  golden.expect(name, got);
}

}  // namespace

void checkMend(Golden& golden) {
  const Case test(golden);
  const Json spec = specOf(golden);
  std::vector<std::string> editable;
  for (const Json& name : golden.member("inner_params").array()) editable.push_back(name.string());
  const std::string wrapped = "model.encoder.";  // MEND's wrapper of BERT calls it `model`
  if (golden.family() == "bert") {
    for (std::string& name : editable) {
      if (name.starts_with(wrapped)) name = "bert." + name.substr(6);
    }
  }
  EXPECT_EQ(test.base->architecture->editableWeights(), editable);
  expectBaseLogits(golden, test);

  replay(golden, test, spec, {"", numbers(golden, "spec_steps_after_episodes")});
  const std::set<int64_t> late = numbers(golden, "official_steps_after_episodes");
  replay(golden, test, spec, {"official_serac.", late});
  const std::string rate = golden.member("lr").dump();
  replay(golden, test, with(spec, R"({"descent": false, "alphaLearningRate": )" + rate + "}"),
         {"official_mend.", late});
  checkOneGraph(golden, test, with(spec, R"({"hypergradient": "create_graph"})"));
  expectThreeDifferent(golden);
  if (number(golden, "K") == number(golden, "K_loc")) checkEditor(golden, test);
}

}  // namespace seprog
