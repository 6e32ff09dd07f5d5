#include "inner_steps.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include "../../instrument/memory_role.h"
#include "../../tensor/narrow.h"
#include "../../train/losses.h"

namespace seprog {
namespace {

std::vector<std::string> namesOf(const UpdateRules& rules) {
  std::vector<std::string> names;
  for (const auto& [name, rule] : rules) names.push_back(name);
  return names;
}

/// Δ of every matrix. One that the edit loss does not depend on has the gradient 0.
TensorTable updatesOf(const UpdateRules& rules, const Gradients& gradients, const TensorTable& weights) {
  at::NoGradGuard noGrad;
  const RoleScope role(MemoryRole::EditMemory);
  TensorTable updates;
  for (const auto& [name, rule] : rules) {
    const auto gradient = gradients.find(name);
    updates.emplace(
        name, rule.update(gradient != gradients.end() ? gradient->second : at::zeros_like(weights.at(name))));
  }
  return updates;
}

}  // namespace

EditedModel editedModel(const Model& base, const std::vector<std::string>& names,
                        const TensorTable& accumulated, bool tracked) {
  at::NoGradGuard noGrad;
  const RoleScope role(MemoryRole::EditMemory);
  EditedModel edited;
  for (const std::string& name : names) {
    const at::Tensor W = inFp32(base.weights.at(name).detach());
    const auto sum = accumulated.find(name);
    edited.weights.emplace(name, (sum == accumulated.end() ? W : W + sum->second).set_requires_grad(tracked));
  }
  edited.model = Model{base.architecture, base.weights.with(edited.weights), base.device};
  return edited;
}

InnerSteps takeInnerSteps(const Model& base, const UpdateRules& rules, const PairRows& edit, int64_t most,
                          int64_t microBatch, TensorTable& accumulated,
                          const std::function<void(const InnerStep&)>& watch, JobContext& context) {
  const std::vector<std::string> names = namesOf(rules);
  InnerSteps result;
  EditedModel now = editedModel(base, names, accumulated, true);
  EditLoss loss = editLoss(now.model, now.weights, edit, {}, true, context, microBatch);
  while (result.steps < most && !result.right) {
    context.checkCancelled();
    const TensorTable updates = updatesOf(rules, loss.gradients, now.weights);
    for (const auto& [name, update] : updates) {
      const RoleScope role(MemoryRole::EditMemory);
      at::Tensor& sum = accumulated[name];
      sum = sum.defined() ? sum + update : update;
    }
    ++result.steps;
    const Gradients gradients = std::move(loss.gradients);
    now = editedModel(base, names, accumulated, true);
    const bool needsGradients = watch || result.steps < most;
    loss = editLoss(now.model, now.weights, edit, {}, needsGradients, context, microBatch);
    result.loss = demandFinite(loss.loss, "editLoss");
    result.right = loss.rowAccuracy == 1.0;
    if (watch) watch({gradients, updates, now.model, now.weights, loss});
  }
  return result;
}

}  // namespace seprog
