// N target tokens of a chunk, V vocabulary.
#include "hypergradient.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/dot.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/nll_loss.h>
#include <ATen/ops/zeros_like.h>

#include "../error.h"
#include "../instrument/memory_role.h"
#include "backward.h"
#include "edit_loss.h"
#include "row_chunks.h"

namespace seprog {
namespace {

TensorTable pick(const TensorTable& table, const std::vector<std::string>& names) {
  TensorTable chosen;
  for (const std::string& name : names) chosen.emplace(name, table.find(name)->second);
  return chosen;
}

std::vector<at::Tensor> tensorsOf(const TensorTable& table, const std::vector<std::string>& names) {
  std::vector<at::Tensor> tensors;
  for (const std::string& name : names) tensors.push_back(table.find(name)->second);
  return tensors;
}

double perToken(const PairRows& edits) {
  if (edits.target.ids.empty()) {
    fail(ErrorCode::DataInvalid, "expected at least one target token for `edits.target` but received none");
  }
  return 1.0 / static_cast<double>(edits.target.ids.size());
}

double product(const at::Tensor& a, const at::Tensor& b) {
  return at::dot(a.reshape({-1}), b.reshape({-1})).item<double>();
}

}  // namespace

TensorTable asLeaves(const TensorTable& tensors) {
  TensorTable leaves;
  for (const auto& [name, tensor] : tensors) leaves.emplace(name, tensor.detach().set_requires_grad(true));
  return leaves;
}

void addGradient(const at::Tensor& leaf, const at::Tensor& gradient) {
  at::NoGradGuard noGrad;
  at::Tensor& sum = leaf.mutable_grad();
  sum = sum.defined() ? sum.add_(gradient) : gradient;
}

at::Tensor weightedNll(const Architecture& family, const Weights& weights, const TokenBatch& source,
                       const Targets& targets, double weight) {
  const at::Tensor logits_NV =
      family.targetLogits(weights, family.encodeForAnswers(weights, source), targets, {});
  return at::nll_loss(at::log_softmax(logits_NV, 1), targets.labels_N, {}, at::Reduction::Sum) * weight;
}

InnerPass innerPass(const Model& model, const InnerLoop& loop, const PairRows& edits, JobContext& context) {
  InnerPass pass;
  pass.weights.push_back(pick(model.weights.flatten(), loop.edited));
  for (int64_t step = 0; step < loop.steps; ++step) {
    const TensorTable W = asLeaves(pass.weights.back());
    const EditLoss now = editLoss(Model{model.architecture, model.weights.with(W), model.device}, W, edits,
                                  {}, true, context, loop.chunkRows);
    if (step == 0) pass.loss = now.loss;
    const RoleScope role(MemoryRole::EditMemory);
    TensorTable next;
    for (size_t m = 0; m < loop.edited.size(); ++m) {
      const std::string& name = loop.edited[m];
      const double rate = loop.rates_M[static_cast<int64_t>(m)].item<double>();
      next.emplace(name, at::sub(W.at(name).detach(), now.gradients.at(name), rate));
    }
    pass.weights.push_back(std::move(next));
    pass.gradients.push_back(now.gradients);
  }
  return pass;
}

at::Tensor backThroughInner(const Architecture& family, const TensorTable& leaves, const InnerLoop& loop,
                            const InnerPass& pass, const PairRows& edits, TensorTable v,
                            JobContext& context) {
  const double weight = perToken(edits);
  at::Tensor rateGradient_M = at::zeros_like(loop.rates_M);
  for (int64_t step = loop.steps - 1; step >= 0; --step) {
    const bool first = step == 0;
    const TensorTable W = first ? pick(leaves, loop.edited) : asLeaves(pass.weights[step]);
    const Weights weights = first ? Weights(leaves) : Weights(leaves).with(W);
    const std::vector<at::Tensor> edited = tensorsOf(W, loop.edited);
    std::vector<at::Tensor> direction;  // −a·v
    for (size_t m = 0; m < loop.edited.size(); ++m) {
      const std::string& name = loop.edited[m];
      const auto index = static_cast<int64_t>(m);
      rateGradient_M[index] -= product(v.at(name), pass.gradients[step].at(name));
      direction.push_back(v.at(name) * -loop.rates_M[index].item<double>());
    }
    if (loop.firstOrder) continue;
    at::AutoGradMode graph(true);
    eachChunk(family, edited.front().device(), edits, loop.chunkRows, context,
              [&](const TokenBatch& source, const Targets& targets) {
                const at::Tensor loss = weightedNll(family, weights, source, targets, weight);
                const auto gradients =
                    gradientsFor({loss}, edited, {}, {.allowUnused = false, .recordGraph = true});
                runBackward(gradients, direction);
              });
    if (first) break;
    for (auto& [name, gradient] : v) gradient = gradient + W.at(name).grad();
  }
  for (const auto& [name, gradient] : v) addGradient(leaves.find(name)->second, gradient);
  return rateGradient_M;
}

UnrolledInner unrolledInner(const Architecture& family, const TensorTable& leaves, const InnerLoop& loop,
                            const PairRows& edits, JobContext& context) {
  const double weight = perToken(edits);
  at::AutoGradMode graph(true);
  const Weights original(leaves);
  UnrolledInner inner{pick(leaves, loop.edited)};
  TensorTable& W = inner.weights;
  for (int64_t step = 0; step < loop.steps; ++step) {
    at::Tensor loss;
    eachChunk(family, W.begin()->second.device(), edits, edits.rows(), context,
              [&](const TokenBatch& source, const Targets& targets) {
                loss = weightedNll(family, original.with(W), source, targets, weight);
              });
    if (step == 0) inner.loss = loss.item<double>();
    const auto gradients = gradientsFor({loss}, tensorsOf(W, loop.edited), {},
                                        {.allowUnused = false, .recordGraph = !loop.firstOrder});
    for (size_t m = 0; m < loop.edited.size(); ++m) {
      at::Tensor& matrix = W.at(loop.edited[m]);
      matrix = matrix - loop.rates_M[static_cast<int64_t>(m)] * gradients[m];
    }
  }
  return inner;
}

}  // namespace seprog
