// Kind `slag`: the authors' numbers of edits by the learned optimiser, one on top of the other. What they and the
// method's page do otherwise has two names: `official_` counts padding of the other rows' targets into the KL,
// `spec_` does not. A bare name is what both share.
#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <string>
#include <vector>

#include "../editors/slag/inner_steps.h"
#include "../editors/slag/run.h"
#include "golden.h"

namespace seprog {
namespace {

JobContext quiet;

int64_t whole(const Golden& golden, const std::string& key) {
  return static_cast<int64_t>(golden.member(key).number());
}

Json specOf(const Golden& golden, bool klMaskPads, const char* hypergradient) {
  const Json& paraphrase = golden.member("lambda_paraphrase");
  return Json::Object{
      {"kind", "slag"},
      {"innerSteps", golden.member("k_steps")},
      {"maxScale", golden.member("max_scale")},
      {"lstmWidth", golden.member("lstm_hidden")},
      {"conditionWidth", golden.member("condition_dim")},
      {"conditionerWidth", golden.member("conditioner_hidden")},
      {"mainWeight", golden.member("lambda_main")},
      {"paraphraseWeight", paraphrase.isNull() ? Json(0) : paraphrase},
      {"klWeight", golden.member("lambda_kl")},
      {"klMaskPads", klMaskPads},
      {"hypergradient", hypergradient},
      {"microBatch", 2},
  };
}

/// The targets behind `in.<name>.labels`: class ids, or tokens that stand one column before their labels.
TokenRows targetsOf(const Golden& golden, const std::string& name) {
  const at::Tensor& labels = golden.input("in." + name + ".labels");
  if (labels.dim() == 1) return rowsOf(labels.unsqueeze(1), at::ones_like(labels).unsqueeze(1));
  return rowsOfLabels(labels.narrow(1, 1, labels.size(1) - 1));
}

PairRows pairsOf(const Golden& golden, const std::string& name) {
  const std::string in = "in." + name + ".";
  return {rowsOf(golden.input(in + "input_ids"), golden.input(in + "attention_mask")),
          targetsOf(golden, name)};
}

PairRows pickPairs(const PairRows& rows, const std::vector<int64_t>& indices) {
  return {pick(rows.source, indices), pick(rows.target, indices)};
}

/// The KL of small updates is a small difference: in single precision its rounding reaches the tolerance.
Model inDouble(const Model& model) {
  TensorTable table;
  for (const auto& [name, tensor] : model.weights.flatten()) table.emplace(name, tensor.to(at::kDouble));
  return {model.architecture, Weights(std::move(table)), model.device};
}

RunEdit editOf(const Golden& golden, const std::string& episode) {
  const int64_t index = golden.input(episode + ".edit_index").item<int64_t>();
  const PairRows points = pairsOf(golden, episode);
  std::vector<int64_t> others;
  for (int64_t b = 0; b < points.rows(); ++b) {
    if (b != index) others.push_back(b);
  }
  const std::string context = "in." + episode + ".opt_context_";
  RunEdit edit{
      pick(rowsOf(golden.input(context + "input_ids"), golden.input(context + "attention_mask")), {index}),
      {pickPairs(points, {index}), {}, pickPairs(points, others)}};
  if (golden.has("in." + episode + ".par.labels")) edit.rows.inScope = pairsOf(golden, episode + ".par");
  return edit;
}

class Case {
 public:
  explicit Case(Golden& golden) : golden_(golden), base_(loadModel(golden.folder() + "/model", at::kCPU)) {
    for (const std::string& name : golden.namesWith("init.hyper.")) {
      parameters_[name.substr(std::string("init.hyper.").size())] = golden.input(name);
    }
  }

  void check() {
    EXPECT_EQ(network(true).edited().size(), golden_.member("inner_params").array().size());
    TensorTable accumulated;
    for (int64_t e = 0; e < whole(golden_, "r_sequential"); ++e) {
      const std::string episode = "ep" + std::to_string(e);
      const RunEdit edit = editOf(golden_, episode);
      golden_.markChecked(episode + ".edit_index");  // which row the case itself took
      for (const char* reading : {"", "official_", "spec_"}) {
        if (golden_.has(reading + episode + ".loss_total"))
          checkGradients(reading, episode, edit, accumulated);
      }
      checkSteps(episode, edit, accumulated);
    }
  }

 private:
  /// Sizes and names are those of a fresh network: only then does the case fill it.
  Hypernetwork network(bool klMaskPads, const char* hypergradient = "two_stage") const {
    Hypernetwork fresh(readSlagSpec(specOf(golden_, klMaskPads, hypergradient)), base_);
    EXPECT_EQ(fresh.parameters().size(), parameters_.size());
    for (const auto& [name, tensor] : parameters_) {
      EXPECT_EQ(fresh.parameters().at(name).sizes(), tensor.sizes()) << name;
    }
    return fresh.with(parameters_);
  }

  at::Tensor conditionOf(const Hypernetwork& of, const RunEdit& edit) const {
    const Architecture& family = *base_.architecture;
    return of.condition(pad(edit.text, family.padId(), family.vocabulary(), at::kCPU));
  }

  void expectAll(const std::string& prefix, const Hypernetwork& of, const TensorTable& table) {
    for (size_t j = 0; j < of.edited().size(); ++j) {
      golden_.expect(prefix + std::to_string(j), table.at(of.edited()[j]));
    }
  }

  /// Condition vector, and gradients, updates and losses of every inner step; leaves the update in `accumulated`.
  void checkSteps(const std::string& episode, const RunEdit& edit, TensorTable& accumulated) {
    const at::NoGradGuard noGrad;
    const Hypernetwork of = network(true);
    const at::Tensor c_1C = conditionOf(of, edit);
    golden_.expect(episode + ".c", c_1C);
    const Model before = inDouble(editedModel(base_, of.edited(), accumulated, false).model);
    const EditObjective masked(network(true).spec(), before, edit.rows, quiet);
    const EditObjective unmasked(network(false).spec(), before, edit.rows, quiet);
    int64_t step = 0;
    const InnerSteps taken = takeInnerSteps(
        base_, of.rules(c_1C.squeeze(0)), edit.rows.edit, of.spec().innerSteps, 2, accumulated,
        [&](const InnerStep& at) {
          const std::string prefix = episode + ".step" + std::to_string(step++) + ".";
          expectAll(prefix + "grad_w.", of, at.gradients);
          expectAll(prefix + "delta.", of, at.updates);
          expectAll(prefix + "acc.", of, accumulated);
          for (const auto& [reading, objective] :
               {std::pair{"", &masked}, std::pair{"spec_", &masked}, std::pair{"official_", &unmasked}}) {
            if (!golden_.has(reading + prefix + "loss_kl")) continue;
            const ObjectiveTerms terms = objective->at(inDouble(at.after), {}, at.edit, false, quiet).terms;
            golden_.expect(reading + prefix + "loss_main", at::scalar_tensor(terms.main));
            golden_.expect(reading + prefix + "loss_kl", at::scalar_tensor(terms.kl));
          }
        },
        quiet);
    golden_.expect(episode + ".steps", at::scalar_tensor(taken.steps, at::kLong));
    golden_.expect(episode + ".success", at::scalar_tensor(taken.right ? 1 : 0, at::kLong));
    expectAll(episode + ".edited.", of, editedModel(base_, of.edited(), accumulated, false).weights);
  }

  /// Loss of the episode and its gradient for the network, by both ways.
  void checkGradients(const std::string& reading, const std::string& episode, const RunEdit& edit,
                      const TensorTable& before) {
    for (const char* way : {"two_stage", "create_graph"}) {
      SCOPED_TRACE(way);
      const Hypernetwork of = network(reading != "official_", way);
      TensorTable accumulated = before;
      Gradients gradients;
      const RunLosses losses = passRun(base_, of.tracked(), {edit}, 1.0, accumulated, &gradients, quiet);
      golden_.expect(reading + episode + ".loss_total", at::scalar_tensor(losses.terms.total));
      for (const auto& [name, gradient] : gradients) {
        golden_.expect(reading + episode + ".grad.hyper." + name, gradient);
      }
      const double norm = globalNorm(gradients);
      golden_.expect(reading + episode + ".grad_norm_hyper", at::scalar_tensor(norm));
      // The authors clip with the gradients of the base model in the norm, we without.
      const double all = std::hypot(norm, baseNorm(of, edit, before));
      golden_.expect(reading + episode + ".official_grad_norm_all", at::scalar_tensor(all));
      EXPECT_GT(all, norm);
    }
  }

  /// The norm of the objective's gradient for all weights of the base model. The authors' head of one logit is the
  /// second row of two classes, the first of which gets the same gradient with the other sign.
  double baseNorm(const Hypernetwork& of, const RunEdit& edit, const TensorTable& before) const {
    TensorTable leaves;
    std::vector<at::Tensor> inputs;
    for (const auto& [name, tensor] : base_.weights.flatten()) {
      inputs.push_back(tensor.detach().set_requires_grad(true));
      leaves.emplace(name, inputs.back());
    }
    const EditObjective objective(of.spec(), editedModel(base_, of.edited(), before, false).model, edit.rows,
                                  quiet);
    TensorTable accumulated = before;
    at::Tensor total = at::zeros({});
    takeInnerSteps(
        base_, of.rules(conditionOf(of, edit).squeeze(0)), edit.rows.edit, of.spec().innerSteps, 2,
        accumulated,
        [&](const InnerStep&) {
          TensorTable weights = leaves;
          for (const auto& [name, sum] : accumulated) weights[name] = leaves.at(name) + sum;
          total = total + objective.graph(Model{base_.architecture, Weights(weights), at::kCPU});
        },
        quiet);
    const auto gradients = torch::autograd::grad({total}, inputs, {}, std::nullopt, false, true);
    double squares = 0;
    size_t next = 0;
    for (const auto& [name, leaf] : leaves) {
      const at::Tensor& gradient = gradients[next++];
      if (!gradient.defined()) continue;
      const double rows = name.starts_with("classifier.") ? 2 : 1;
      squares += rows * gradient.to(at::kDouble).pow(2).sum().item<double>();
    }
    return std::sqrt(squares);
  }

  Golden& golden_;
  Model base_;
  TensorTable parameters_;
};

}  // namespace

void checkSlag(Golden& golden) { Case(golden).check(); }

}  // namespace seprog
