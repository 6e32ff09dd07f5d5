// r edits of a run, C condition width, m × n an edited matrix.
#include "run.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "../../instrument/memory_role.h"
#include "../../train/backward.h"
#include "inner_steps.h"

namespace seprog {
namespace {

/// Adds up gradients for the parameters of the network.
class NetworkGradients {
 public:
  NetworkGradients(const Hypernetwork& network, Gradients& sums) : sums_(sums) {
    for (const auto& [name, leaf] : network.parameters()) {
      Part& part = Hypernetwork::isConditioner(name) ? conditioners_ : condition_;
      part.names.push_back(name);
      part.leaves.push_back(leaf);
    }
  }

  /// Of an output of the conditioners and of a leaf that stands for the condition vector; returns the latter's.
  at::Tensor addConditioners(const at::Tensor& output, const at::Tensor& c_C) {
    std::vector<at::Tensor> leaves = conditioners_.leaves;
    leaves.push_back(c_C);
    const std::vector<at::Tensor> found = gradientsFor({output}, leaves);
    add(conditioners_, found);
    return found.back();
  }
  /// Of condition vectors, [r, C].
  void addCondition(const at::Tensor& c_rC, const at::Tensor& gradient_rC) {
    add(condition_, gradientsFor({c_rC}, condition_.leaves, {gradient_rC}));
  }
  /// Of an output of the whole network.
  void addAll(const at::Tensor& output) {
    std::vector<at::Tensor> leaves = conditioners_.leaves;
    leaves.insert(leaves.end(), condition_.leaves.begin(), condition_.leaves.end());
    std::vector<at::Tensor> found = gradientsFor({output}, leaves);
    add(conditioners_, found);
    found.erase(found.begin(), found.begin() + static_cast<int64_t>(conditioners_.leaves.size()));
    add(condition_, found);
  }

 private:
  struct Part {
    std::vector<std::string> names;
    std::vector<at::Tensor> leaves;
  };

  void add(const Part& part, const std::vector<at::Tensor>& found) {
    at::NoGradGuard noGrad;
    const RoleScope role(MemoryRole::Gradients);
    for (size_t i = 0; i < part.names.size(); ++i) {
      if (!found[i].defined()) continue;
      at::Tensor& sum = sums_[part.names[i]];
      sum = sum.defined() ? sum.add_(found[i]) : found[i].clone(at::MemoryFormat::Contiguous);
    }
  }

  Part conditioners_, condition_;
  Gradients& sums_;
};

/// Σ_j ⟨v_j, Δ_j⟩ of one edit as a function of its rules: v_j is the objective's gradient behind step j, a constant.
/// The rules are the same at every step, so two sums a matrix are all that is kept of the steps.
class StepSums {
 public:
  void add(const Gradients& v, const Gradients& gradients) {
    const RoleScope role(MemoryRole::Gradients);
    for (const auto& [name, v_mn] : v) {
      const auto gradient = gradients.find(name);
      if (gradient != gradients.end()) {
        at::Tensor& product = vTimesGradient_[name];
        product = product.defined() ? product.addcmul_(v_mn, gradient->second) : v_mn * gradient->second;
      }
      at::Tensor& sum = v_[name];
      sum = sum.defined() ? sum.add_(v_mn) : v_mn.clone();
    }
  }
  at::Tensor along(const UpdateRules& rules) const {
    at::Tensor total;
    for (const auto& [name, v_mn] : v_) {
      const auto product = vTimesGradient_.find(name);
      const at::Tensor term = rules.at(name).along(
          product != vTimesGradient_.end() ? product->second : at::zeros_like(v_mn), v_mn);
      total = total.defined() ? total + term : term;
    }
    return total;
  }

 private:
  Gradients vTimesGradient_, v_;
};

/// The step's weights as a function of the rules, Δ carrying the graph and all before it a constant.
Model withGraph(const Model& base, const InnerStep& step, const UpdateRules& rules) {
  const RoleScope role(MemoryRole::Hypergradient);
  TensorTable weights;
  for (const auto& [name, leaf] : step.leaves) {
    const auto gradient = step.gradients.find(name);
    const at::Tensor before = leaf.detach() - step.updates.at(name);
    weights.emplace(
        name, before + rules.at(name).update(gradient != step.gradients.end() ? gradient->second
                                                                              : at::zeros_like(before)));
  }
  return Model{base.architecture, base.weights.with(std::move(weights)), base.device};
}

class Run {
 public:
  Run(const Model& base, const Hypernetwork& network, double weight, TensorTable& accumulated,
      Gradients* gradients, JobContext& context)
      : base_(base),
        network_(network),
        spec_(network.spec()),
        weight_(weight),
        accumulated_(accumulated),
        context_(context) {
    if (gradients != nullptr) gradients_.emplace(network, *gradients);
  }

  RunLosses pass(const std::vector<RunEdit>& edits) {
    if (gradients_ && spec_.hypergradient == SlagHypergradient::CreateGraph) {
      for (const RunEdit& edit : edits) passByGraph(edit);
      return losses_;
    }
    const at::Tensor c_rC = conditionOf(edits);
    const at::Tensor gradient_rC = at::zeros_like(c_rC.detach());
    for (size_t e = 0; e < edits.size(); ++e) {
      const auto row = static_cast<int64_t>(e);
      passEdit(edits[e].rows, c_rC.detach().select(0, row), gradient_rC.select(0, row));
    }
    if (gradients_) {
      const auto phase = context_.phase("backward");
      gradients_->addCondition(c_rC, gradient_rC);
    }
    return losses_;
  }

 private:
  at::Tensor conditionOf(const std::vector<RunEdit>& edits) {
    const auto phase = context_.phase("condition");
    TokenRows texts;
    for (const RunEdit& edit : edits) {
      texts.ids.insert(texts.ids.end(), edit.text.ids.begin(), edit.text.ids.end());
      texts.lengths.insert(texts.lengths.end(), edit.text.lengths.begin(), edit.text.lengths.end());
    }
    const Architecture& family = *base_.architecture;
    return network_.condition(pad(texts, family.padId(), family.vocabulary(), base_.device));
  }

  EditObjective objectiveOf(const EditRows& rows) {
    return {spec_, editedModel(base_, network_.edited(), accumulated_, false).model, rows, context_};
  }

  /// Stage one at every step: v = ∂total/∂(W + acc) at leaves, rows in micro-batches. Stage two once: back through
  /// the rules and on to the condition vector.
  void passEdit(const EditRows& rows, const at::Tensor& condition_C, at::Tensor gradient_C) {
    const at::Tensor c_C = condition_C.detach().set_requires_grad(gradients_.has_value());
    const UpdateRules rules = network_.rules(c_C);
    StepSums sums;
    {
      const auto phase = context_.phase("inner_steps");
      const EditObjective objective = objectiveOf(rows);
      takeSteps(rules, objective, [&](const InnerStep& step) {
        EditObjective::Value value =
            objective.at(step.after, step.leaves, step.edit, gradients_.has_value(), context_);
        sums.add(value.gradients, step.gradients);
        return value.terms;
      });
    }
    if (!gradients_) return;
    const auto phase = context_.phase("backward");
    gradient_C.copy_(gradients_->addConditioners(sums.along(rules) * weight_, c_C));
  }

  /// One graph over all rows and steps.
  void passByGraph(const RunEdit& edit) {
    const UpdateRules rules = network_.rules(conditionOf({edit}).squeeze(0));
    const EditObjective objective = objectiveOf(edit.rows);
    at::Tensor total;
    takeSteps(rules, objective, [&](const InnerStep& step) {
      const at::Tensor loss = objective.graph(withGraph(base_, step, rules));
      total = total.defined() ? total + loss : loss;
      return objective.at(step.after, step.leaves, step.edit, false, context_).terms;
    });
    const auto phase = context_.phase("backward");
    gradients_->addAll(total * weight_);
  }

  void takeSteps(const UpdateRules& rules, const EditObjective& objective,
                 const std::function<ObjectiveTerms(const InnerStep&)>& termsOf) {
    ObjectiveTerms last;
    const InnerSteps taken = takeInnerSteps(
        base_, rules, objective.edit(), spec_.innerSteps, spec_.microBatch, accumulated_,
        [&](const InnerStep& step) {
          last = termsOf(step);
          losses_.terms.total += last.total;
        },
        context_);
    losses_.terms.main += last.main;
    losses_.terms.paraphrase += last.paraphrase;
    losses_.terms.kl += last.kl;
    losses_.steps += taken.steps;
    losses_.rightEdits += taken.right ? 1 : 0;
  }

  const Model& base_;
  const Hypernetwork& network_;
  const SlagSpec& spec_;
  const double weight_;
  TensorTable& accumulated_;
  JobContext& context_;
  std::optional<NetworkGradients> gradients_;
  RunLosses losses_;
};

}  // namespace

RunLosses passRun(const Model& base, const Hypernetwork& network, const std::vector<RunEdit>& edits,
                  double weight, TensorTable& accumulated, Gradients* gradients, JobContext& context) {
  at::AutoGradMode graph(gradients != nullptr);
  return Run(base, network, weight, accumulated, gradients, context).pass(edits);
}

}  // namespace seprog
