// G rows of a group, N target tokens, V vocabulary; else as in prompt_loss.h.
#include "prompt_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <string>
#include <vector>

#include "../../instrument/memory_role.h"
#include "../../train/backward.h"
#include "../../train/losses.h"

namespace seprog {
namespace {

// Size of one decoder state [G, P+T, D] in floats: what decides how many rows a group has.
constexpr int64_t kGroupElements = 1 << 18;
// Smaller groups would read the weights too often for what they compute with them.
constexpr int64_t kLeastGroupRows = 16;

/// Rows of one group; all groups have one size, but for the last.
int64_t groupRows(const Model& base, const Encoded& x, const Episodes& episodes, const at::Tensor& pr_BPD) {
  const int64_t B = pr_BPD.size(0);
  const int64_t target = *std::max_element(episodes.target.lengths.begin(), episodes.target.lengths.end());
  // A family without a decoder of its own runs the source through the same stack.
  const int64_t source = base.architecture->answerKind() == AnswerKind::Text ? 0 : x.source.columns();
  const int64_t fitting =
      kGroupElements / ((pr_BPD.size(1) + source + target) * base.architecture->hiddenWidth());
  const int64_t atMost = std::clamp(fitting, std::min(kLeastGroupRows, B), B);
  const int64_t groups = (B + atMost - 1) / atMost;
  return (B + groups - 1) / groups;
}

/// The backward pass of a group: from its states and, where it is trained, the head to everything before.
class GroupBackward {
 public:
  GroupBackward(const TensorTable& leaves, const at::Tensor& x_XSD, PromptLoss& result)
      : leaves_(leaves), x_XSD_(x_XSD), result_(result) {}

  void run(const at::Tensor& states_ND, const Head& head, const TokenLossGradients& token,
           const at::Tensor& pr_GPD, const Encoded& rows, int64_t firstRow, const at::Tensor& xRows_G) {
    std::vector<at::Tensor> outputs{states_ND}, outputGradients{token.h_ND};
    appendHead(head, token, outputs, outputGradients);
    std::vector<at::Tensor> inputs{pr_GPD};
    if (!leaves_.empty()) {
      inputs.push_back(rows.h_BSD);
      for (const auto& [name, leaf] : leaves_) inputs.push_back(leaf);
    }
    const auto gradients = gradientsFor(outputs, inputs, outputGradients, {.allowUnused = !leaves_.empty()});
    const RoleScope role(MemoryRole::Gradients);
    result_.gradient_BPD.narrow(0, firstRow, pr_GPD.size(0)).copy_(gradients[0]);
    if (leaves_.empty()) return;
    if (gradients[1].defined()) {
      if (!result_.gradient_XSD.defined()) result_.gradient_XSD = at::zeros_like(x_XSD_);
      result_.gradient_XSD.index_add_(0, xRows_G, gradients[1]);
    }
    size_t next = 2;
    for (const auto& [name, leaf] : leaves_) {
      const at::Tensor& gradient = gradients[next++];
      if (!gradient.defined()) continue;
      at::Tensor& sum = result_.base[name];
      sum = sum.defined() ? sum.add_(gradient) : gradient.clone(at::MemoryFormat::Contiguous);
    }
  }

 private:
  const TensorTable& leaves_;
  const at::Tensor& x_XSD_;
  PromptLoss& result_;
};

}  // namespace

PromptLoss promptLoss(const Model& model, const SeprogSpec& spec, const Encoded& x, const Episodes& episodes,
                      const at::Tensor& pr_BPD, const TensorTable& leaves, bool withGradients,
                      JobContext& context) {
  const Architecture& base = *model.architecture;
  const int64_t B = pr_BPD.size(0);
  const double tokens = static_cast<double>(episodes.target.ids.size());
  // R13: the mean over all target tokens, or the sum of a row's tokens averaged over rows.
  const double perToken =
      1.0 / (spec.promptReduction == PromptReduction::Token ? tokens : static_cast<double>(B));
  const int64_t group = groupRows(model, x, episodes, pr_BPD);

  PromptLoss result;
  if (withGradients) {
    const RoleScope role(MemoryRole::Gradients);
    result.gradient_BPD = at::empty_like(pr_BPD, at::MemoryFormat::Contiguous);
  }
  GroupBackward backward(leaves, x.h_BSD, result);
  int64_t rightRows = 0;
  for (int64_t first = 0; first < B; first += group) {
    const int64_t count = std::min(group, B - first);
    context.checkCancelled();
    at::Tensor pr_GPD = pr_BPD.detach().narrow(0, first, count);
    const at::Tensor xRows_G = episodes.inScope_B.narrow(0, first, count);
    Encoded rows;
    Head head;
    at::Tensor states_ND;
    TokenLossGradients token;
    {
      const auto phase = context.phase("prompt_forward");
      const Targets targets = targetsFor(base, slice(episodes.target, first, count), model.device);
      rows = x.select(xRows_G);
      at::AutoGradMode graph(withGradients);
      pr_GPD.set_requires_grad(withGradients);
      if (withGradients && !leaves.empty()) rows.h_BSD.set_requires_grad(true);
      head = base.head(model.weights);
      states_ND = base.targetStates(model.weights, rows, targets,
                                    Prompt(pr_GPD, spec.promptPositions));  // R11: rows p … p+T−1
      if (withGradients) {
        const at::Tensor weight_N =
            at::full({states_ND.size(0)}, spec.promptWeight() * perToken, states_ND.options());
        token = tokenNllGradients(states_ND, head, targets.labels_N, weight_N, isTrained(head));
      } else {
        token.losses = tokenNll(states_ND, head, targets.labels_N);
      }
      result.loss -= token.losses.logProb_N.to(at::kDouble).sum().item<double>() * perToken;
      rightRows += countRightRows(token.losses, targets);
    }
    if (withGradients) {
      const auto phase = context.phase("backward");
      backward.run(states_ND, head, token, pr_GPD, rows, first, xRows_G);
    }
  }
  result.rowAccuracy = static_cast<double>(rightRows) / static_cast<double>(B);
  return result;
}

}  // namespace seprog
