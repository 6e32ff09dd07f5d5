// n episodes of K edits, K in-scope and K out-of-scope inputs each; R = 2K inputs of an episode, B = nK rows
// of a kind, H edit width (h), Db base width (d_b), P prompt rows (p), D embedding width (d), G rows of a
// group, N target tokens.
#include "seprog_losses.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <map>

#include "../../error.h"
#include "../../train/losses.h"

namespace seprog {
namespace {

// Size of one decoder state [G, P+T, D] in floats: what decides how many rows a group has.
constexpr int64_t kGroupElements = 1 << 18;
// Smaller groups would read the weights too often for what they compute with them.
constexpr int64_t kLeastGroupRows = 16;

/// Gives equal rows one number, so that an input that occurs twice is encoded once.
class DistinctRows {
 public:
  std::vector<int64_t> add(const TokenRows& rows) {
    std::vector<int64_t> numbers;
    size_t next = 0;
    for (const int32_t length : rows.lengths) {
      const auto part = [&](const std::vector<int32_t>& values) {
        return values.empty() ? std::vector<int32_t>(length)
                              : std::vector<int32_t>(values.begin() + next, values.begin() + next + length);
      };
      const std::vector<int32_t> ids = part(rows.ids);
      const std::vector<int32_t> types = part(rows.types);
      next += length;
      const auto [entry, isNew] = numberOf_.try_emplace({ids, types}, distinct_.rows());
      if (isNew) {
        distinct_.ids.insert(distinct_.ids.end(), ids.begin(), ids.end());
        distinct_.types.insert(distinct_.types.end(), types.begin(), types.end());
        distinct_.lengths.push_back(length);
      }
      numbers.push_back(entry->second);
    }
    return numbers;
  }
  const TokenRows& rows() const { return distinct_; }

 private:
  std::map<std::pair<std::vector<int32_t>, std::vector<int32_t>>, int64_t> numberOf_;
  TokenRows distinct_;
};

/// What the modules make of all rows when they are seen as n episodes, back in the order of the rows.
struct Grouped {
  at::Tensor alphaIn_BK;
  at::Tensor hIn_BH;
  at::Tensor logitIn_B;
  at::Tensor logitOut_B;
};

Grouped selectAndClassify(const SeprogModules& modules, int64_t n, const at::Tensor& bIn_BDb,
                          const at::Tensor& bOut_BDb, const at::Tensor& H_BH) {
  const int64_t B = H_BH.size(0);
  const int64_t K = B / n;
  const at::Tensor b_nRDb = at::cat({bIn_BDb.view({n, K, -1}), bOut_BDb.view({n, K, -1})}, 1);
  const SeprogModules::Selection selection = modules.select(b_nRDb, H_BH.view({n, K, -1}));
  const at::Tensor logit_nR = modules.scopeLogit(selection.h_nRH, b_nRDb);
  return {selection.alpha_nRK.narrow(1, 0, K).reshape({B, K}),
          selection.h_nRH.narrow(1, 0, K).reshape({B, -1}), logit_nR.narrow(1, 0, K).reshape({B}),
          logit_nR.narrow(1, K, K).reshape({B})};
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

double share(const at::Tensor& flags) { return flags.to(at::kDouble).mean().item<double>(); }

}  // namespace

Episodes prepareEpisodes(const EpisodeBatch& batch, const Model& base, const Architecture& editEncoder) {
  const int64_t rows = batch.editText.rows();
  std::vector<int64_t> ns{batch.episodes};
  ns.insert(ns.end(), batch.regroupings.begin(), batch.regroupings.end());
  for (const int64_t n : ns) {
    if (n < 1 || rows < n || rows % n != 0) {
      fail(ErrorCode::DataInvalid, "expected as many edits in each of the " + std::to_string(n) +
                                       " episodes for `editText` but received " + std::to_string(rows) +
                                       " rows");
    }
  }
  const auto demandRows = [&](const TokenRows& side, const char* name) {
    if (side.rows() != rows) {
      fail(ErrorCode::DataInvalid, "expected one row per edit (" + std::to_string(rows) + ") for `" + name +
                                       "` but received " + std::to_string(side.rows()));
    }
    int64_t total = 0;
    for (const int32_t length : side.lengths) total += length < 0 ? side.ids.size() + 1 : length;
    if (total != static_cast<int64_t>(side.ids.size())) {
      fail(ErrorCode::DataInvalid, "expected lengths of 0 or more that add up to " +
                                       std::to_string(side.ids.size()) + " ids for `" + name +
                                       ".lengths` but received a sum of " + std::to_string(total));
    }
  };
  demandRows(batch.inScope.source, "inScope.source");
  demandRows(batch.inScope.target, "inScope.target");
  demandRows(batch.outScope.source, "outScope.source");
  if (batch.inScope.target.ids.empty()) {
    fail(ErrorCode::DataInvalid, "expected at least one target token for `inScope.target` but received none");
  }

  Episodes episodes;
  episodes.ns = std::move(ns);
  episodes.z = pad(batch.editText, editEncoder.padId(), editEncoder.vocabulary(), base.device);
  DistinctRows distinct;
  episodes.inScope_B = at::tensor(distinct.add(batch.inScope.source), at::kLong).to(base.device);
  episodes.outScope_B = at::tensor(distinct.add(batch.outScope.source), at::kLong).to(base.device);
  episodes.x = pad(distinct.rows(), base.architecture->padId(), base.architecture->vocabulary(), base.device);
  episodes.target = batch.inScope.target;
  return episodes;
}

PromptLoss promptLoss(const Model& model, const SeprogSpec& spec, const Encoded& x, const Episodes& episodes,
                      const at::Tensor& pr_BPD, bool withGradients, JobContext& context) {
  const Architecture& base = *model.architecture;
  const Head head = base.head(model.weights);
  const int64_t B = pr_BPD.size(0);
  const double tokens = static_cast<double>(episodes.target.ids.size());
  // R13: the mean over all target tokens, or the sum of a row's tokens averaged over rows.
  const double perToken =
      1.0 / (spec.promptReduction == PromptReduction::Token ? tokens : static_cast<double>(B));
  const int64_t longest = *std::max_element(episodes.target.lengths.begin(), episodes.target.lengths.end());
  const int64_t fitting = kGroupElements / ((pr_BPD.size(1) + longest) * base.hiddenWidth());
  const int64_t atMost = std::clamp(fitting, std::min(kLeastGroupRows, B), B);
  const int64_t groups = (B + atMost - 1) / atMost;
  const int64_t group = (B + groups - 1) / groups;  // of one size, but for the last

  PromptLoss result;
  if (withGradients) result.gradient_BPD = at::empty_like(pr_BPD, at::MemoryFormat::Contiguous);
  int64_t rightRows = 0;
  for (int64_t first = 0; first < B; first += group) {
    const int64_t count = std::min(group, B - first);
    context.checkCancelled();
    at::Tensor pr_GPD = pr_BPD.detach().narrow(0, first, count);
    at::Tensor states_ND;
    TokenLossGradients token;
    {
      const auto phase = context.phase("prompt_forward");
      const Targets targets = targetsFor(base, slice(episodes.target, first, count), model.device);
      const Encoded rows = x.select(episodes.inScope_B.narrow(0, first, count));
      at::AutoGradMode graph(withGradients);
      pr_GPD.set_requires_grad(withGradients);
      states_ND = base.targetStates(model.weights, rows, targets, pr_GPD);  // R11: rows p … p+T−1
      if (withGradients) {
        const at::Tensor weight_N =
            at::full({states_ND.size(0)}, (1.0 - spec.lambda) * perToken, states_ND.options());
        token = tokenNllGradients(states_ND, head, targets.labels_N, weight_N, false);
      } else {
        token.losses = tokenNll(states_ND, head, targets.labels_N);
      }
      result.loss -= token.losses.logProb_N.to(at::kDouble).sum().item<double>() * perToken;
      const at::Tensor wrong_N = token.losses.argmax_N.ne(targets.labels_N).to(at::kLong);
      const at::Tensor wrong_G =
          at::zeros({count}, wrong_N.options()).index_add_(0, targets.rowOf_N, wrong_N);
      rightRows += count - wrong_G.ne(0).sum().item<int64_t>();
    }
    if (withGradients) {
      const auto phase = context.phase("backward");
      const auto gradient = torch::autograd::grad({states_ND}, {pr_GPD}, {token.h_ND});
      result.gradient_BPD.narrow(0, first, count).copy_(gradient[0]);
    }
  }
  result.rowAccuracy = static_cast<double>(rightRows) / static_cast<double>(B);
  return result;
}

EpisodeLosses episodeLosses(const Model& base, const SeprogModules& modules, const Episodes& episodes,
                            bool withGradients, JobContext& context) {
  const SeprogSpec& spec = modules.spec();
  const int64_t B = episodes.z.rows();
  at::AutoGradMode graph(withGradients);

  Encoded x;
  at::Tensor bIn_BDb, bOut_BDb;
  {
    const auto phase = context.phase("base_encode");
    at::NoGradGuard frozen;  // step 3: the base encodes without a graph
    x = base.architecture->encode(base.weights, episodes.x);
    const at::Tensor b = pool(x.h_BSD, episodes.x, spec.basePool);  // R6
    bIn_BDb = b.index_select(0, episodes.inScope_B);
    bOut_BDb = b.index_select(0, episodes.outScope_B);
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
  at::Tensor pr_BPD, L_sc;
  {
    const auto phase = context.phase("scope_loss");
    for (const Grouped& grouped : groupings) {
      // Step 5, R12: L_sc = − mean_in ln σ(ℓ) − mean_out ln σ(−ℓ).
      const at::Tensor loss =
          at::log_sigmoid(grouped.logitIn_B).mean().neg() - at::log_sigmoid(grouped.logitOut_B.neg()).mean();
      L_sc = L_sc.defined() ? L_sc + loss : loss;
    }
    L_sc = L_sc / static_cast<double>(groupings.size());
    // R14: every in-scope input is prompted, whatever e(x).
    pr_BPD = modules.prompts(inTurn(groupings));
  }
  const double scopeLoss = demandFinite(L_sc.item<double>(), "scopeLoss");

  const PromptLoss prompted =
      promptLoss(base, spec, x, episodes, pr_BPD, withGradients, context);  // step 6: L_pg
  const double loss =
      spec.lambda * scopeLoss + (1.0 - spec.lambda) * demandFinite(prompted.loss, "promptLoss");
  x = Encoded();

  EpisodeLosses result;
  {
    at::NoGradGuard figuresOnly;
    const Grouped& own = groupings.front();
    const int64_t K = B / episodes.ns.front();
    const at::Tensor gold_B =
        at::arange(B, own.logitIn_B.options().dtype(at::kLong).requires_grad(false)).remainder(K);
    result.figures = {
        {"loss", loss},
        {"scopeLoss", scopeLoss},
        {"promptLoss", prompted.loss},
        {"scopeAccuracyIn", share(own.logitIn_B.gt(0))},
        {"scopeAccuracyOut", share(own.logitOut_B.le(0))},
        {"selectAccuracy", share(own.alphaIn_BK.argmax(1).eq(gold_B))},
        {"rowAccuracy", prompted.rowAccuracy},
    };
  }
  if (!withGradients) return result;

  context.checkCancelled();
  const auto phase = context.phase("backward");
  // Step 7: the gradient of λ L_sc + (1−λ) L_pg, the second term entering as its gradient for the prompts.
  std::vector<std::string> names;
  std::vector<at::Tensor> leaves;
  for (const auto& [name, leaf] : modules.parameters()) {
    names.push_back(name);
    leaves.push_back(leaf);
  }
  std::vector<at::Tensor> gradients = torch::autograd::grad(
      {L_sc, pr_BPD}, leaves, {at::full({}, spec.lambda, L_sc.options()), prompted.gradient_BPD},
      std::nullopt, false, true);
  for (size_t i = 0; i < names.size(); ++i) {
    if (gradients[i].defined()) result.gradients.emplace(std::move(names[i]), std::move(gradients[i]));
  }
  return result;
}

}  // namespace seprog
