// What the tests of every family share: a tiny model of each, questions with their targets, and what it makes of them.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include "core/models/model.h"
#include "core/train/losses.h"
#include "tiny.h"

namespace seprog::tiny {

struct Family {
  const char* name;
  Json (*config)();
};
inline constexpr Family kFamilies[] = {{"t5", config},
                                       {"bart", bartConfig},
                                       {"gpt2", gpt2Config},
                                       {"bert", bertConfig},
                                       {"distilbert", distilbertConfig}};

struct Asked {
  TokenBatch source;
  Targets targets;
};

inline Asked ask(const Architecture& family, int64_t count) {
  Random random(11);
  const TokenRows source = rows(random, count, 2, 7);
  const TokenRows target = family.answerKind() == AnswerKind::Label
                               ? classes(random, count, family.targetVocabulary())
                               : rows(random, count, 1, 4);
  return {pad(source, family.padId(), family.vocabulary(), at::kCPU), targetsFor(family, target, at::kCPU)};
}

inline at::Tensor logits(const Model& model, const Asked& asked) {
  const at::NoGradGuard frozen;
  const Architecture& family = *model.architecture;
  return family.targetLogits(model.weights, family.encode(model.weights, asked.source), asked.targets, {});
}

/// Of a loss in which each target token has this weight, for the vectors of a prompt, through the frozen model and its head.
inline at::Tensor promptGradient(const Model& model, const Asked& asked, double weight) {
  const Architecture& family = *model.architecture;
  const at::Tensor leaf_BPD =
      Random(3).normalTensor({asked.source.rows(), 3, family.embeddingWidth()}, 0, 1).set_requires_grad(true);
  Encoded encoded;
  {
    const at::NoGradGuard frozen;
    encoded = family.encode(model.weights, asked.source);
  }
  const at::Tensor states_ND = family.targetStates(model.weights, encoded, asked.targets, {leaf_BPD});
  const at::Tensor weight_N = at::full({states_ND.size(0)}, weight);
  const TokenLossGradients token =
      tokenNllGradients(states_ND, family.head(model.weights), asked.targets.labels_N, weight_N, false);
  return torch::autograd::grad({states_ND}, {leaf_BPD}, {token.h_ND})[0];
}

/// The largest difference as a share of the largest value wanted.
inline double relativeError(const at::Tensor& got, const at::Tensor& wanted) {
  return ((got - wanted).abs().max() / wanted.abs().max()).item<double>();
}

}  // namespace seprog::tiny
