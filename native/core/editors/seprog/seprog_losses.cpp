// n episodes of K edits, K in-scope and K out-of-scope inputs each; R = 2K inputs of an episode, B = nK rows
// of a kind, H edit width (h), Db base width (d_b), P prompt rows (p), D embedding width (d), X distinct
// inputs of S columns.
#include "seprog_losses.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_sigmoid.h>

#include <algorithm>
#include <string>
#include <vector>

#include "../../instrument/memory_role.h"
#include "../../train/backward.h"
#include "../../train/losses.h"
#include "prompt_loss.h"

namespace seprog {
namespace {

/// What the modules make of all rows when they are seen as n episodes, back in the order of the rows. Without
/// a classifier there are no logits.
struct Grouped {
  at::Tensor selectedIn_B;  // undefined without attention
  at::Tensor hIn_BH;
  at::Tensor logitIn_B;
  at::Tensor logitOut_B;
};

/// bOut_BDb is undefined without a classifier.
Grouped selectAndClassify(const SeprogModules& modules, int64_t n, const at::Tensor& bIn_BDb,
                          const at::Tensor& bOut_BDb, const at::Tensor& H_BH) {
  const int64_t B = H_BH.size(0);
  const int64_t K = B / n;
  at::Tensor b_nRDb = bIn_BDb.view({n, K, -1});
  if (bOut_BDb.defined()) b_nRDb = at::cat({b_nRDb, bOut_BDb.view({n, K, -1})}, 1);
  const CrossAttention selection = modules.select(b_nRDb, H_BH.view({n, K, -1}), {.argmax = true});
  Grouped grouped;
  if (selection.argmax_nR.defined()) {
    grouped.selectedIn_B = selection.argmax_nR.narrow(1, 0, K).reshape({B});
  }
  grouped.hIn_BH = selection.h_nRH.narrow(1, 0, K).reshape({B, -1});
  if (bOut_BDb.defined()) {
    const at::Tensor logit_nR = modules.scopeLogit(selection.h_nRH, b_nRDb);
    grouped.logitIn_B = logit_nR.narrow(1, 0, K).reshape({B});
    grouped.logitOut_B = logit_nR.narrow(1, K, K).reshape({B});
  }
  return grouped;
}

/// h(x) of row i from the (i mod groupings)-th grouping.
at::Tensor inTurn(const std::vector<Grouped>& groupings) {
  const auto G = static_cast<int64_t>(groupings.size());
  if (G == 1) return groupings.front().hIn_BH;
  const int64_t B = groupings.front().hIn_BH.size(0);
  std::vector<at::Tensor> h;
  for (const Grouped& grouped : groupings) h.push_back(grouped.hIn_BH);
  const at::Tensor row_B = at::arange(B, at::TensorOptions(at::kLong).device(h.front().device()));
  return at::cat(h, 0).index_select(0, row_B.remainder(G) * B + row_B);
}

/// Step 5, R12: L_sc = − mean_in ln σ(ℓ) − mean_out ln σ(−ℓ), the mean over the groupings.
at::Tensor scopeLossOf(const std::vector<Grouped>& groupings) {
  at::Tensor sum;
  for (const Grouped& grouped : groupings) {
    const at::Tensor loss =
        at::log_sigmoid(grouped.logitIn_B).mean().neg() - at::log_sigmoid(grouped.logitOut_B.neg()).mean();
    sum = sum.defined() ? sum + loss : loss;
  }
  return sum / static_cast<double>(groupings.size());
}

double share(const at::Tensor& flags) { return flags.to(at::kDouble).mean().item<double>(); }

/// The base weights that are leaves of this step, by their own names.
TensorTable baseLeaves(const SeprogModules& modules) {
  TensorTable leaves;
  for (const auto& [name, tensor] : modules.parameters()) {
    if (name.starts_with(kBasePrefix) && tensor.requires_grad()) {
      leaves.emplace(name.substr(kBasePrefix.size()), tensor);
    }
  }
  return leaves;
}

/// Step 7: the gradient of λ L_sc + w L_pg, the second term entering as its gradients for the prompts, for the
/// encoder's states and for the weights that answered.
Gradients totalGradients(const SeprogModules& modules, const at::Tensor& L_sc, const at::Tensor& pr_BPD,
                         const at::Tensor& x_XSD, PromptLoss prompted) {
  std::vector<at::Tensor> outputs, outputGradients;
  if (L_sc.defined()) {
    outputs.push_back(L_sc);
    outputGradients.push_back(at::full({}, modules.spec().lambda, L_sc.options()));
  }
  outputs.push_back(pr_BPD);
  outputGradients.push_back(prompted.gradient_BPD);
  if (prompted.gradient_XSD.defined() && x_XSD.requires_grad()) {
    outputs.push_back(x_XSD);
    outputGradients.push_back(prompted.gradient_XSD);
  }
  std::vector<std::string> names;
  std::vector<at::Tensor> leaves;
  for (const auto& [name, leaf] : modules.parameters()) {
    if (!leaf.requires_grad()) continue;
    names.push_back(name);
    leaves.push_back(leaf);
  }
  std::vector<at::Tensor> found = gradientsFor(outputs, leaves, outputGradients);
  Gradients gradients;
  for (size_t i = 0; i < names.size(); ++i) {
    if (found[i].defined()) gradients.emplace(std::move(names[i]), std::move(found[i]));
  }
  const RoleScope role(MemoryRole::Gradients);
  for (auto& [name, gradient] : prompted.base) {
    at::Tensor& sum = gradients[std::string(kBasePrefix) + name];
    sum = sum.defined() ? sum + gradient : gradient;
  }
  return gradients;
}

Figures figuresOf(const SeprogModules& modules, const Episodes& episodes, const Grouped& own, double loss,
                  double scopeLoss, const PromptLoss& prompted) {
  at::NoGradGuard figuresOnly;
  Figures figures = {{"loss", loss}};
  if (own.logitIn_B.defined()) {
    figures.emplace_back("scopeLoss", scopeLoss);
    figures.emplace_back("scopeAccuracyIn", share(own.logitIn_B.gt(0)));
    figures.emplace_back("scopeAccuracyOut", share(own.logitOut_B.le(0)));
  }
  figures.emplace_back("promptLoss", prompted.loss);
  if (modules.spec().hasAttention()) {
    const int64_t B = episodes.z.rows();
    const int64_t K = B / episodes.ns.front();
    const at::Tensor gold_B = at::arange(B, own.selectedIn_B.options()).remainder(K);
    figures.emplace_back("selectAccuracy", share(own.selectedIn_B.eq(gold_B)));
  }
  figures.emplace_back("rowAccuracy", prompted.rowAccuracy);
  return figures;
}

}  // namespace

EpisodeLosses episodeLosses(const Model& original, const SeprogModules& modules, const Episodes& episodes,
                            bool withGradients, JobContext& context) {
  const SeprogSpec& spec = modules.spec();
  const Model base = modules.tuned(original);
  const TensorTable leaves = withGradients ? baseLeaves(modules) : TensorTable();
  at::AutoGradMode graph(withGradients);

  Encoded x;
  at::Tensor bIn_BDb, bOut_BDb;
  {
    const auto phase = context.phase("base_encode");
    at::AutoGradMode tuned(!leaves.empty());  // step 3: a frozen base encodes without a graph
    x = base.architecture->encode(base.weights, episodes.x);
    const at::Tensor b = pool(x.h_BSD, episodes.x, spec.basePool);  // R6
    bIn_BDb = b.index_select(0, episodes.inScope_B);
    if (spec.hasClassifier()) bOut_BDb = b.index_select(0, episodes.outScope_B);
  }
  context.checkCancelled();

  at::Tensor H_BH;
  {
    const auto phase = context.phase("edit_encode");
    H_BH = modules.embedEdits(episodes.z);  // step 2: H_e = E_edit(Z_e)
  }
  context.checkCancelled();

  std::vector<Grouped> groupings;
  for (const int64_t n : episodes.ns) {
    const auto phase = context.phase("select");
    groupings.push_back(
        selectAndClassify(modules, n, bIn_BDb, bOut_BDb, H_BH));  // step 4: α, h(x) for all 2K inputs
    context.checkCancelled();
  }
  at::Tensor L_sc;
  double scopeLoss = 0;
  if (spec.hasClassifier()) {
    const auto phase = context.phase("scope_loss");
    L_sc = scopeLossOf(groupings);
    scopeLoss = demandFinite(L_sc.item<double>(), "scopeLoss");
  }
  at::Tensor pr_BPD;
  {
    const auto phase = context.phase("prompt_forward");
    pr_BPD = modules.prompts(inTurn(groupings));  // R14: every in-scope input is prompted, whatever e(x)
  }

  const at::Tensor x_XSD = leaves.empty() ? at::Tensor() : x.h_BSD;
  x.h_BSD = x.h_BSD.detach();
  PromptLoss prompted =
      promptLoss(base, spec, x, episodes, pr_BPD, leaves, withGradients, context);  // step 6: L_pg
  demandFinite(prompted.loss, "promptLoss");
  const double loss =
      spec.hasClassifier() ? spec.lambda * scopeLoss + (1.0 - spec.lambda) * prompted.loss : prompted.loss;
  x = Encoded();

  EpisodeLosses result;
  result.figures = figuresOf(modules, episodes, groupings.front(), loss, scopeLoss, prompted);
  if (!withGradients) return result;

  context.checkCancelled();
  const auto phase = context.phase("backward");
  result.gradients = totalGradients(modules, L_sc, pr_BPD, x_XSD, std::move(prompted));
  return result;
}

}  // namespace seprog
