// N target tokens of a chunk, V vocabulary, M edited matrices, n episodes of K edits.
#include "enn_losses.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/zeros_like.h>

#include <string>
#include <vector>

#include "../../error.h"
#include "../../ops/masked_kl/masked_kl.h"
#include "../../train/backward.h"
#include "../../train/edit_loss.h"
#include "../../train/locality_loss.h"
#include "../../train/losses.h"
#include "../../train/row_chunks.h"
#include "../../train/token_kl.h"

namespace seprog {
namespace {

struct Episode {
  PairRows edits;
  PairRows inScope;
  PairRows outScope;
};

struct Terms {
  double inner = 0;
  double edit = 0;
  double locality = 0;
  double base = 0;
  double rowAccuracy = 0;

  void add(const Terms& other, double share) {
    inner += share * other.inner;
    edit += share * other.edit;
    locality += share * other.locality;
    base += share * other.base;
    rowAccuracy += share * other.rowAccuracy;
  }
};

void demandRows(const EpisodeBatch& batch) {
  const int64_t rows = batch.edits.rows();
  std::vector<int64_t> ns{batch.episodes};
  ns.insert(ns.end(), batch.regroupings.begin(), batch.regroupings.end());
  for (const int64_t n : ns) {
    if (n >= 1 && rows >= n && rows % n == 0) continue;
    fail(ErrorCode::DataInvalid, "expected as many edits in each of the " + std::to_string(n) +
                                     " episodes for `edits` but received " + std::to_string(rows) + " rows");
  }
  const auto demand = [&](const TokenRows& side, const char* name) {
    if (side.rows() == rows) return;
    fail(ErrorCode::DataInvalid, "expected one row per edit (" + std::to_string(rows) + ") for `" + name +
                                     "` but received " + std::to_string(side.rows()));
  };
  demand(batch.edits.target, "edits.target");
  demand(batch.inScope.source, "inScope.source");
  demand(batch.inScope.target, "inScope.target");
  demand(batch.outScope.source, "outScope.source");
  demand(batch.outScope.target, "outScope.target");
}

Episode episodeAt(const EpisodeBatch& batch, int64_t n, int64_t index) {
  const int64_t K = batch.edits.rows() / n;
  const auto part = [&](const PairRows& rows) { return slice(rows, index * K, K); };
  return {part(batch.edits), part(batch.inScope), part(batch.outScope)};
}

double perToken(const PairRows& rows, const char* name) {
  if (rows.target.ids.empty()) {
    fail(ErrorCode::DataInvalid,
         std::string("expected at least one target token for `") + name + ".target` but received none");
  }
  return 1.0 / static_cast<double>(rows.target.ids.size());
}

double total(const EnnSpec& spec, const Terms& terms) {
  return spec.cEdit * terms.edit + spec.cLoc * terms.locality;
}

Figures figuresOf(double loss, const Terms& terms) {
  return {{"loss", demandFinite(loss, "loss")}, {"editLoss", terms.edit},
          {"localityLoss", terms.locality},     {"baseLoss", terms.base},
          {"innerLoss", terms.inner},           {"rowAccuracy", terms.rowAccuracy}};
}

at::Tensor statesOf(const Architecture& family, const Weights& weights, const TokenBatch& source,
                    const Targets& targets) {
  return family.targetStates(weights, family.encodeForAnswers(weights, source), targets, {});
}

at::Tensor weightOf(const at::Tensor& states_ND, double weight) {
  return at::full({states_ND.size(0)}, weight, states_ND.options().requires_grad(false));
}

void backThrough(const at::Tensor& states_ND, const Head& head, const StateGradients& ofStates) {
  std::vector<at::Tensor> outputs{states_ND}, outputGradients{ofStates.h_ND};
  appendHead(head, ofStates, outputs, outputGradients);
  runBackward(outputs, outputGradients);
}

/// One step: the leaves θ and what their gradients are the sum of.
class Step {
 public:
  Step(const Model& original, const EnnParameters& parameters, const EnnSpec& spec, JobContext& context)
      : original_(original),
        parameters_(parameters),
        spec_(spec),
        context_(context),
        leaves_(asLeaves(parameters.theta)),
        loop_(innerLoop(family(), spec, parameters.innerRate_M)),
        innerRateGradient_M_(at::zeros_like(parameters.innerRate_M)) {}

  /// Adds the gradients of share · L and gives the terms of L.
  Terms add(const Episode& episode, double share) {
    return spec_.hypergradient == Hypergradient::TwoStage ? inTwoStages(episode, share)
                                                          : inOneGraph(episode, share);
  }

  EnnLosses finish(Figures figures) const {
    EnnLosses result{std::move(figures), {}, innerRateGradient_M_};
    for (const auto& [name, leaf] : leaves_) {
      if (leaf.grad().defined()) result.theta.emplace(name, leaf.grad());
    }
    return result;
  }

 private:
  const Architecture& family() const { return *original_.architecture; }

  Terms inTwoStages(const Episode& episode, double share) {
    Terms terms;
    InnerPass pass;
    {
      const auto phase = context_.phase("inner");
      const Model trained{original_.architecture, Weights(parameters_.theta), original_.device};
      pass = innerPass(trained, loop_, episode.edits, context_);
      terms.inner = pass.loss;
    }
    TensorTable v;
    {
      const auto phase = context_.phase("outer");
      at::AutoGradMode graph(true);
      const TensorTable W = asLeaves(pass.weights.back());
      const Weights edited = Weights(leaves_).with(W);
      addInScope(edited, episode.inScope, share, terms);
      addOutScope(edited, episode.outScope, share, terms);
      for (const auto& [name, leaf] : W) {
        v.emplace(name, leaf.grad().defined() ? leaf.grad() : at::zeros_like(leaf));
      }
    }
    const auto phase = context_.phase("hypergradient");
    innerRateGradient_M_ +=
        backThroughInner(family(), leaves_, loop_, pass, episode.edits, std::move(v), context_);
    return terms;
  }

  void addInScope(const Weights& edited, const PairRows& rows, double share, Terms& terms) const {
    const double each = perToken(rows, "inScope");
    int64_t rightRows = 0;
    eachChunk(family(), original_.device, rows, spec_.microBatch, context_,
              [&](const TokenBatch& source, const Targets& targets) {
                const at::Tensor states_ND = statesOf(family(), edited, source, targets);
                const Head head = family().head(edited);
                const TokenLossGradients token =
                    tokenNllGradients(states_ND, head, targets.labels_N,
                                      weightOf(states_ND, share * spec_.cEdit * each), isTrained(head));
                backThrough(states_ND, head, token);
                terms.edit -= each * token.losses.logProb_N.to(at::kDouble).sum().item<double>();
                rightRows += countRightRows(token.losses, targets);
              });
    terms.rowAccuracy = static_cast<double>(rightRows) / static_cast<double>(rows.rows());
  }

  void addOutScope(const Weights& edited, const PairRows& rows, double share, Terms& terms) const {
    const double each = perToken(rows, "outScope");
    const Weights trained(leaves_);
    eachChunk(family(), original_.device, rows, spec_.microBatch, context_,
              [&](const TokenBatch& source, const Targets& targets) {
                const at::Tensor now_ND =
                    addKl(originalStates(source, targets), family().head(original_.weights), trained, source,
                          targets, share * spec_.cBase * each, each, terms.base);
                addKl(now_ND, family().head(trained), edited, source, targets, share * spec_.cLoc * each,
                      each, terms.locality);
              });
  }

  at::Tensor originalStates(const TokenBatch& source, const Targets& targets) const {
    at::NoGradGuard noGrad;
    return statesOf(family(), original_.weights, source, targets);
  }

  /// Gradients of weight · Σ_n KL(p ‖ q), q of `weights`; gives q's states, detached.
  at::Tensor addKl(const at::Tensor& p_ND, const Head& pHead, const Weights& weights,
                   const TokenBatch& source, const Targets& targets, double weight, double each,
                   double& sum) const {
    const at::Tensor q_ND = statesOf(family(), weights, source, targets);
    const Head head = family().head(weights);
    const TokenKlGradients token =
        tokenKlGradients(p_ND, pHead, q_ND, head, weightOf(q_ND, weight), isTrained(head));
    backThrough(q_ND, head, token.gradients);
    sum += each * token.kl_N.to(at::kDouble).sum().item<double>();
    return q_ND.detach();
  }

  /// The reference: every pass over all rows at once, every logit kept, one backward pass.
  Terms inOneGraph(const Episode& episode, double share) {
    at::AutoGradMode graph(true);
    Terms terms;
    at::Tensor loss, innerRate_M;
    {
      const auto phase = context_.phase("forward");
      InnerLoop loop = loop_;
      innerRate_M = parameters_.innerRate_M.detach().set_requires_grad(true);
      loop.rates_M = innerRate_M;
      const Weights trained(leaves_);
      const UnrolledInner inner = unrolledInner(family(), leaves_, loop, episode.edits, context_);
      const Weights edited = trained.with(inner.weights);
      terms.inner = inner.loss;

      const double eachIn = perToken(episode.inScope, "inScope");
      eachChunk(family(), original_.device, episode.inScope, episode.inScope.rows(), context_,
                [&](const TokenBatch& source, const Targets& targets) {
                  const at::Tensor logits_NV = logitsOf(edited, source, targets);
                  const at::Tensor logProb_NV = at::log_softmax(logits_NV, 1);
                  const at::Tensor nll = logProb_NV.gather(1, targets.labels_N.unsqueeze(1)).sum() * -eachIn;
                  loss = nll * (share * spec_.cEdit);
                  terms.edit = nll.item<double>();
                  terms.rowAccuracy =
                      static_cast<double>(countRightRows({{}, logits_NV.argmax(1)}, targets)) /
                      static_cast<double>(episode.inScope.rows());
                });
      const double eachOut = perToken(episode.outScope, "outScope");
      eachChunk(family(), original_.device, episode.outScope, episode.outScope.rows(), context_,
                [&](const TokenBatch& source, const Targets& targets) {
                  const at::Tensor original_NV = logitsOf(original_.weights, source, targets);
                  const at::Tensor trained_NV = logitsOf(trained, source, targets);
                  const at::Tensor edited_NV = logitsOf(edited, source, targets);
                  const auto divergence = [&](const at::Tensor& p_NV, const at::Tensor& q_NV) {
                    return maskedKl(p_NV, q_NV).sum() * eachOut;
                  };
                  const at::Tensor base = divergence(original_NV, trained_NV);
                  const at::Tensor locality = divergence(trained_NV, edited_NV);
                  loss = loss + base * (share * spec_.cBase) + locality * (share * spec_.cLoc);
                  terms.base = base.item<double>();
                  terms.locality = locality.item<double>();
                });
    }
    context_.checkCancelled();
    const auto phase = context_.phase("backward");
    runBackward({loss});
    innerRateGradient_M_ += innerRate_M.grad();
    return terms;
  }

  at::Tensor logitsOf(const Weights& weights, const TokenBatch& source, const Targets& targets) const {
    return family().targetLogits(weights, family().encodeForAnswers(weights, source), targets, {});
  }

  const Model& original_;
  const EnnParameters& parameters_;
  const EnnSpec& spec_;
  JobContext& context_;
  TensorTable leaves_;
  InnerLoop loop_;
  at::Tensor innerRateGradient_M_;
};

/// Out-of-scope rows that θ⁰ and θ answer with the same arg-max at every target token.
int64_t unchangedRows(const Model& original, const Model& trained, const PairRows& rows, int64_t chunkRows,
                      JobContext& context) {
  const Architecture& family = *original.architecture;
  int64_t unchanged = 0;
  eachChunk(family, original.device, rows, chunkRows, context,
            [&](const TokenBatch& source, const Targets& targets) {
              const auto answers = [&](const Model& model) {
                return tokenNll(statesOf(family, model.weights, source, targets), family.head(model.weights),
                                targets.labels_N);
              };
              Targets before = targets;
              before.labels_N = answers(original).argmax_N;
              unchanged += countRightRows(answers(trained), before);
            });
  return unchanged;
}

}  // namespace

InnerLoop innerLoop(const Architecture& family, const EnnSpec& spec, const at::Tensor& innerRate_M) {
  return {family.editableWeights(), innerRate_M, spec.innerSteps, spec.microBatch, spec.firstOrder};
}

EnnLosses ennGradients(const Model& original, const EnnParameters& parameters, const EnnSpec& spec,
                       const EpisodeBatch& batch, JobContext& context) {
  demandRows(batch);
  std::vector<int64_t> ns{batch.episodes};
  ns.insert(ns.end(), batch.regroupings.begin(), batch.regroupings.end());
  Step step(original, parameters, spec, context);
  Terms mean;
  for (const int64_t n : ns) {
    const double share = 1.0 / static_cast<double>(n * static_cast<int64_t>(ns.size()));
    for (int64_t index = 0; index < n; ++index) {
      mean.add(step.add(episodeAt(batch, n, index), share), share);
    }
  }
  return step.finish(figuresOf(total(spec, mean) + spec.cBase * mean.base, mean));
}

Figures ennFigures(const Model& original, const EnnParameters& parameters, const EnnSpec& spec,
                   const EpisodeBatch& batch, JobContext& context) {
  demandRows(batch);
  at::NoGradGuard noGrad;
  const Model trained{original.architecture, Weights(parameters.theta), original.device};
  const InnerLoop loop = innerLoop(*original.architecture, spec, parameters.innerRate_M);
  const double share = 1.0 / static_cast<double>(batch.episodes);
  Terms mean;
  for (int64_t index = 0; index < batch.episodes; ++index) {
    const Episode episode = episodeAt(batch, batch.episodes, index);
    const InnerPass pass = innerPass(trained, loop, episode.edits, context);
    const Model edited{trained.architecture, trained.weights.with(pass.weights.back()), trained.device};
    const EditLoss inScope = editLoss(edited, {}, episode.inScope, {}, false, context, spec.microBatch);
    const double locality =
        localityLoss(trained, edited, {}, episode.outScope, false, context, spec.microBatch).loss;
    const double base =
        localityLoss(original, trained, {}, episode.outScope, false, context, spec.microBatch).loss;
    mean.add({pass.loss, inScope.loss, locality, base, inScope.rowAccuracy}, share);
  }
  Figures figures = figuresOf(total(spec, mean), mean);
  const int64_t rows = batch.outScope.rows();
  const int64_t unchanged = unchangedRows(original, trained, batch.outScope, spec.microBatch, context);
  figures.emplace_back("preEditDrift", mean.base);
  figures.emplace_back("preEditChanged", static_cast<double>(rows - unchanged) / static_cast<double>(rows));
  return figures;
}

}  // namespace seprog
