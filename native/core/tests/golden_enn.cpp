// Kind `enn`: one training step of the published code: the inner step, the three losses, their gradients of second and
// of first order, two inner steps, one step of the optimiser.
#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "../editors/enn/enn.h"
#include "../editors/enn/enn_checkpoint.h"
#include "../editors/enn/enn_losses.h"
#include "../io/safetensors.h"
#include "../train/locality_loss.h"
#include "golden.h"
#include "tiny.h"

namespace seprog {
namespace {

JobContext quiet;

void append(TokenRows& rows, const int32_t* ids, int64_t count) {
  rows.ids.insert(rows.ids.end(), ids, ids + count);
  rows.lengths.push_back(static_cast<int32_t>(count));
}

/// Inputs and the labels that are predicted from them. BART's labels begin with the decoder's start, GPT-2's stand in
/// the inputs.
PairRows labelled(const Golden& golden, const std::string& batch) {
  const at::Tensor& labels_BT = golden.input(batch + ".labels");
  const TokenRows inputs =
      rowsOf(golden.input(batch + ".input_ids"), golden.input(batch + ".attention_mask"));
  if (golden.family() == "bert") return {inputs, rowsOf(labels_BT, at::ones_like(labels_BT))};
  if (golden.family() == "bart") return {inputs, rowsOfLabels(labels_BT.slice(1, 1))};
  const TokenRows targets = rowsOfLabels(labels_BT);
  if (golden.family() == "t5") return {inputs, targets};
  PairRows rows{{}, targets};
  const int32_t* next = inputs.ids.data();
  for (int64_t b = 0; b < inputs.rows(); ++b) {
    append(rows.source, next, inputs.lengths[b] - targets.lengths[b]);
    next += inputs.lengths[b];
  }
  return rows;
}

/// Out-of-scope rows at all the positions the published code compares: of BART also behind the last label, of GPT-2 at
/// every input token or, for the shares of its log, at every label. A further target that nobody predicts or reads
/// asks for the last of them.
PairRows compared(const Golden& golden, const std::string& batch, bool labelsOnly = false) {
  const bool gpt2 = golden.family() == "gpt2";
  if (!gpt2 && golden.family() != "bart") return labelled(golden, batch);
  const std::string ids = batch + (gpt2 ? ".input_ids" : ".decoder_input_ids");
  const std::string mask = batch + (gpt2 ? ".attention_mask" : ".decoder_attention_mask");
  const TokenRows read = rowsOf(golden.input(ids), golden.input(mask));
  PairRows rows;
  if (!gpt2) rows.source = labelled(golden, batch).source;
  const int32_t* next = read.ids.data();
  for (int64_t b = 0; b < read.rows(); ++b) {
    const int32_t first =
        labelsOnly && gpt2 ? read.lengths[b] - labelled(golden, batch).target.lengths[b] + 1 : 1;
    if (gpt2) append(rows.source, next, first);
    append(rows.target, next + first, read.lengths[b] - first);
    rows.target.ids.push_back(0);
    ++rows.target.lengths.back();
    next += read.lengths[b];
  }
  return rows;
}

/// The fixture calls BERT's encoder by its wrapper.
std::string storedName(const std::string& name) {
  return name.starts_with("bert.") ? "model." + name.substr(5) : name;
}

struct Case {
  explicit Case(const Golden& golden)
      : original(std::make_shared<const Model>(loadModel(golden.folder() + "/model_theta0", at::kCPU))),
        parameters{loadModel(golden.folder() + "/model", at::kCPU).weights.flatten(),
                   golden.input("init.a")} {
    batch.edits = labelled(golden, "in.edit");
    batch.inScope = labelled(golden, "in.outer");
    batch.outScope = compared(golden, "in.loc");
    batch.editText = batch.edits.source;
    spec.cEdit = golden.member("c_edit").number();
    spec.cLoc = golden.member("c_loc").number();
    spec.innerSteps = static_cast<int64_t>(golden.member("n_edit_steps").number());
    spec.clipNorm = golden.member("grad_clip").number();
    spec.microBatch = 1;
    edited = original->architecture->editableWeights();
  }

  Model model(const Weights& weights) const { return {original->architecture, weights, original->device}; }
  Model trained() const { return model(Weights(parameters.theta)); }
  InnerPass pass(int64_t steps) const {
    InnerLoop loop = innerLoop(*original->architecture, spec, parameters.innerRate_M);
    loop.steps = steps;
    return innerPass(trained(), loop, batch.edits, quiet);
  }
  EnnLosses losses(const EnnSpec& options) const {
    return ennGradients(*original, parameters, options, batch, quiet);
  }

  std::shared_ptr<const Model> original;
  EnnParameters parameters;
  EpisodeBatch batch;
  EnnSpec spec;
  std::vector<std::string> edited;
};

at::Tensor scalar(double value) { return at::scalar_tensor(value, at::kFloat); }

/// What the fixture holds of a gradient, and nothing where it holds none.
void expectGradients(Golden& golden, const std::string& prefix, const Case& test, const EnnLosses& losses,
                     bool everyWeight) {
  for (const auto& [name, weight] : test.parameters.theta) {
    const std::string stored = prefix + "theta." + storedName(name);
    const auto found = losses.theta.find(name);
    if (golden.has(stored)) {
      ASSERT_NE(found, losses.theta.end()) << stored;
      golden.expect(stored, found->second);
    } else if (everyWeight && found != losses.theta.end()) {
      EXPECT_LT(found->second.abs().max().item<double>(), 1e-7) << stored;
    }
  }
}

void checkInnerStep(Golden& golden, const Case& test) {
  const InnerPass pass = test.pass(1);
  golden.expect("loss_inner", scalar(pass.loss));
  for (size_t m = 0; m < test.edited.size(); ++m) {
    golden.expect("inner_grad." + std::to_string(m), pass.gradients[0].at(test.edited[m]));
    golden.expect("edited." + std::to_string(m), pass.weights[1].at(test.edited[m]));
  }
  const InnerPass twice = test.pass(2);
  for (size_t m = 0; m < test.edited.size(); ++m) {
    golden.expect("two_steps.edited." + std::to_string(m), twice.weights[2].at(test.edited[m]));
  }
}

void checkGradients(Golden& golden, const Case& test, Hypergradient way) {
  EnnSpec spec = test.spec;
  spec.hypergradient = way;
  const EnnLosses whole = test.losses(spec);
  golden.expect("loss_edit", scalar(tiny::figure(whole.figures, "editLoss")));
  golden.expect("loss_loc", scalar(tiny::figure(whole.figures, "localityLoss")));
  EXPECT_NEAR(tiny::figure(whole.figures, "baseLoss"), golden.input("loss_base").item<double>(), 1e-6);
  golden.expect("acc_edit", scalar(tiny::figure(whole.figures, "rowAccuracy")));

  spec.cBase = 0;
  const EnnLosses ofEdits = test.losses(spec);
  expectGradients(golden, "grad_edit_loc.", test, ofEdits, true);
  golden.expect("grad_edit_loc.a", ofEdits.innerRate_M);

  EnnSpec first = spec;
  first.firstOrder = true;
  const EnnLosses firstOrder = test.losses(first);
  expectGradients(golden, "first_order.grad_edit_loc.", test, firstOrder, true);
  golden.expect("first_order.grad_edit_loc.a", firstOrder.innerRate_M);

  EnnSpec two = spec;
  two.innerSteps = 2;
  const EnnLosses twice = test.losses(two);
  golden.expect("two_steps.loss_edit", scalar(tiny::figure(twice.figures, "editLoss")));
  golden.expect("two_steps.loss_loc", scalar(tiny::figure(twice.figures, "localityLoss")));
  expectGradients(golden, "two_steps.grad_edit_loc.", test, twice, false);
  golden.expect("two_steps.grad_edit_loc.a", twice.innerRate_M);

  spec.cEdit = 0;
  spec.cLoc = 0;
  spec.cBase = 1;
  const EnnLosses ofBase = test.losses(spec);
  expectGradients(golden, "grad_base.", test, ofBase, true);
  EXPECT_EQ(ofBase.innerRate_M.abs().max().item<double>(), 0);
}

void checkStep(Golden& golden, const Case& test) {
  const auto editor = makeEnn(Json::Object{{"kind", "enn"},
                                           {"cEdit", test.spec.cEdit},
                                           {"innerRateLearningRate", golden.member("lr_a").number()},
                                           {"clipNorm", test.spec.clipNorm}},
                              test.original);
  const tiny::Folder folder;
  editor->save(folder.path(), false);
  writeSafetensors(folder / "editor.safetensors", flatten(test.parameters));
  editor->restore(folder.path(), false);
  const Figures figures = editor->trainStep(test.batch, golden.member("lr_theta").number(), quiet);
  golden.expect("grad_norm", scalar(tiny::figure(figures, "gradNorm")));
  editor->save(folder.path(), false);
  const TensorTable after = readSafetensors(folder / "editor.safetensors").tensors;
  golden.expect("step1.a", after.at("innerRate"));
  for (const auto& [name, weight] : test.parameters.theta) {
    const std::string stored = "step1.theta." + storedName(name);
    if (golden.has(stored)) golden.expect(stored, after.at("base." + name));
  }
}

/// Share of rows that two models answer with the same arg-max everywhere.
double retained(const PairRows& rows, const Model& before, const Model& after) {
  const Architecture& family = *before.architecture;
  const Targets targets = targetsFor(family, rows.target, at::kCPU);
  const TokenBatch source = pad(rows.source, family.padId(), family.vocabulary(), at::kCPU);
  const auto answers = [&](const Model& model) {
    return family.targetLogits(model.weights, family.encodeForAnswers(model.weights, source), targets, {})
        .argmax(1);
  };
  const at::Tensor differs_N = answers(before).ne(answers(after)).to(at::kLong);
  const at::Tensor differs_B = at::zeros({source.rows()}, at::kLong).index_add(0, targets.rowOf_N, differs_N);
  return differs_B.eq(0).to(at::kDouble).mean().item<double>();
}

Model inDouble(const Model& model) {
  TensorTable table;
  for (const auto& [name, tensor] : model.weights.flatten()) table.emplace(name, tensor.to(at::kDouble));
  return {model.architecture, Weights(std::move(table)), model.device};
}

/// In double precision: where KL is small, the logarithms it is the difference of round to more than the bound.
void checkDrift(Golden& golden, const Case& test) {
  golden.expect("loss_base", scalar(localityLoss(inDouble(*test.original), inDouble(test.trained()), {},
                                                 test.batch.outScope, false, quiet)
                                        .loss));
}

void checkLog(Golden& golden, const Case& test) {
  const Model before = test.trained();
  const Model after = test.model(before.weights.with(test.pass(1).weights[1]));
  const PairRows rows = compared(golden, "in.loc", true);
  golden.expect("log.retain_orig_pre", scalar(retained(rows, *test.original, before)));
  golden.expect("log.retain_orig_post", scalar(retained(rows, *test.original, after)));
  golden.expect("log.retain_edit", scalar(retained(rows, before, after)));
  golden.expect("log.kl_orig_post",
                scalar(localityLoss(*test.original, after, {}, test.batch.outScope, false, quiet).loss));
}

}  // namespace

void checkEnn(Golden& golden) {
  const Case test(golden);
  std::vector<std::string> stored;
  for (const std::string& name : test.edited) stored.push_back(storedName(name));
  std::vector<std::string> expected;
  for (const Json& name : golden.member("inner_params").array()) expected.push_back(name.string());
  EXPECT_EQ(stored, expected);
  checkInnerStep(golden, test);
  checkGradients(golden, test, Hypergradient::TwoStage);
  checkGradients(golden, test, Hypergradient::CreateGraph);
  checkStep(golden, test);
  checkDrift(golden, test);
  checkLog(golden, test);
}

}  // namespace seprog
