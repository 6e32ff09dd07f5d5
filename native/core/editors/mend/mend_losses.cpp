// T target tokens, V vocabulary.
#include "mend_losses.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/nll_loss.h>

#include <string>
#include <utility>

#include "../../error.h"
#include "../../instrument/memory_role.h"
#include "../../ops/masked_kl/masked_kl.h"
#include "../../train/backward.h"
#include "../../train/edit_loss.h"
#include "../../train/locality_loss.h"
#include "../../train/locality_rows.h"
#include "../../train/losses.h"
#include "../../train/row_chunks.h"

namespace seprog {
namespace {

constexpr int64_t kMiB = 1 << 20;

Model withWeights(const Model& base, const TensorTable& edited) {
  return Model{base.architecture, base.weights.with(edited), base.device};
}

Figures figuresOf(const MendSpec& spec, double innerLoss, double editLoss, double localityLoss,
                  double rowAccuracy) {
  demandFinite(innerLoss, "innerLoss");
  demandFinite(editLoss, "editLoss");
  demandFinite(localityLoss, "localityLoss");
  return {{"loss", spec.cEdit * editLoss + spec.cLoc * localityLoss},
          {"editLoss", editLoss},
          {"localityLoss", localityLoss},
          {"innerLoss", innerLoss},
          {"rowAccuracy", rowAccuracy}};
}

struct Outer {
  EditLoss edit;
  LocalityLoss locality;
};

Outer outerLosses(const Model& base, const MendSpec& spec, const TensorTable& edited,
                  const EpisodeRows& episode, bool withGradients, JobContext& context) {
  const Model model = withWeights(base, edited);
  Outer outer;
  {
    const auto phase = context.phase("in_scope");
    outer.edit = editLoss(model, edited, episode.inScope, {}, withGradients, context, spec.microBatch);
  }
  const auto phase = context.phase("out_scope");
  outer.locality = localityLoss(base, model, edited, localityRows(*base.architecture, episode.outScope),
                                withGradients, context, spec.microBatch);
  return outer;
}

Figures figuresOf(const MendSpec& spec, const EditUpdate& update, const Outer& outer) {
  return figuresOf(spec, update.loss(), outer.edit.loss, outer.locality.loss, outer.edit.rowAccuracy);
}

/// Stage 1: v = ∂L/∂W̃ with the edited weights as leaves. Stage 2: W̃ = W ∓ α∇̃W, so ∂L/∂α = ∓⟨v, ∇̃W⟩, and ∓αv goes
/// on through the networks, chunk by chunk.
Figures twoStages(const Model& base, const MendModules& modules, const EpisodeRows& episode, double share,
                  EditUpdate& update, Gradients& sums, JobContext& context) {
  const MendSpec& spec = modules.spec();
  TensorTable pseudo = update.pseudoGradients();
  Outer outer;
  {
    TensorTable edited = editedWeights(modules, base.weights, pseudo);
    for (auto& [name, weight] : edited) weight.set_requires_grad(true);
    outer = outerLosses(base, spec, edited, episode, true, context);
  }
  Figures figures = figuresOf(spec, update, outer);
  at::NoGradGuard noGrad;
  TensorTable ofPseudo;
  for (size_t i = 0; i < modules.matrices().size(); ++i) {
    const std::string& name = modules.matrices()[i].name;
    at::Tensor& v = ofPseudo[name];
    v = outer.edit.gradients.at(name)
            .mul_(share * spec.cEdit)
            .add_(outer.locality.gradients.at(name), share * spec.cLoc);
    outer.locality.gradients.erase(name);
    const auto place = static_cast<int64_t>(i);
    sums.at("alpha").select(0, place).add_((v * pseudo.at(name)).sum(), spec.sign());
    pseudo.erase(name);
    v.mul_(modules.alpha_L().select(0, place)).mul_(spec.sign());
  }
  outer = Outer();
  update.backward(ofPseudo, sums);
  return figures;
}

/// All rows at once.
struct Answers {
  at::Tensor logProb_TV;
  Targets targets;
};

Answers answer(const Model& model, const PairRows& rows) {
  const Architecture& family = *model.architecture;
  const TokenBatch source = pad(rows.source, family.padId(), family.vocabulary(), model.device);
  Targets targets = targetsFor(family, rows.target, model.device);
  const Encoded encoded = family.encodeForAnswers(model.weights, source);
  const at::Tensor logits_TV = family.targetLogits(model.weights, encoded, targets, {});
  return {at::log_softmax(logits_TV, 1), std::move(targets)};
}

/// The reference: one graph from the losses to the parameters. `tracked` are the leaves, which `update` reads.
Figures oneGraph(const Model& base, const MendModules& tracked, const EpisodeRows& episode, double share,
                 EditUpdate& update, Gradients& sums, JobContext& context) {
  const MendSpec& spec = tracked.spec();
  at::AutoGradMode graph(true);
  const Model edited = withWeights(base, editedWeights(tracked, base.weights, update.pseudoGradientGraph()));
  const Answers in = answer(edited, episode.inScope);
  const at::Tensor editLoss = at::nll_loss(in.logProb_TV, in.targets.labels_N);
  context.checkCancelled();
  const PairRows compared = localityRows(*base.architecture, episode.outScope);
  at::Tensor p_TV;
  {
    at::NoGradGuard noGrad;
    p_TV = answer(base, compared).logProb_TV;
  }
  const at::Tensor localityLoss = maskedKl(p_TV, answer(edited, compared).logProb_TV).mean();
  context.checkCancelled();
  const int64_t right = countRightRows({{}, in.logProb_TV.argmax(1)}, in.targets);
  Figures figures = figuresOf(spec, update.loss(), editLoss.item<double>(), localityLoss.item<double>(),
                              static_cast<double>(right) / static_cast<double>(episode.inScope.rows()));

  std::vector<at::Tensor> leaves;
  for (const auto& [name, leaf] : tracked.parameters()) leaves.push_back(leaf);
  const at::Tensor loss = editLoss * (share * spec.cEdit) + localityLoss * (share * spec.cLoc);
  const std::vector<at::Tensor> found = gradientsFor({loss}, leaves);
  at::NoGradGuard noGrad;
  size_t next = 0;
  for (const auto& [name, leaf] : tracked.parameters()) {
    if (found[next].defined()) sums.at(name).add_(found[next]);
    ++next;
  }
  return figures;
}

PairRows partOf(const PairRows& rows, int64_t episode, int64_t episodes) {
  const int64_t count = rows.rows() / episodes;
  return slice(rows, episode * count, count);
}

}  // namespace

void demandRows(const PairRows& pairs, int64_t rows, const std::string& name) {
  for (const auto& [side, of] : {std::pair{".source", &pairs.source}, std::pair{".target", &pairs.target}}) {
    if (of->rows() != rows) {
      fail(ErrorCode::DataInvalid, "expected " + std::to_string(rows) + " rows for `" + name + side +
                                       "`, one an edit, but received " + std::to_string(of->rows()));
    }
    int64_t total = 0;
    for (const int32_t length : of->lengths) total += length < 0 ? of->ids.size() + 1 : length;
    if (total != static_cast<int64_t>(of->ids.size())) {
      fail(ErrorCode::DataInvalid, "expected lengths of 0 or more that add up to " +
                                       std::to_string(of->ids.size()) + " ids for `" + name + side +
                                       ".lengths` but received a sum of " + std::to_string(total));
    }
  }
}

std::vector<EpisodeRows> episodesOf(const EpisodeBatch& batch) {
  const int64_t rows = batch.edits.rows();
  if (batch.episodes < 1 || rows < batch.episodes || rows % batch.episodes != 0) {
    fail(ErrorCode::DataInvalid, "expected as many edits in each of the " + std::to_string(batch.episodes) +
                                     " episodes for `edits` but received " + std::to_string(rows) + " rows");
  }
  demandRows(batch.edits, rows, "edits");
  demandRows(batch.inScope, rows, "inScope");
  demandRows(batch.outScope, rows, "outScope");
  std::vector<EpisodeRows> episodes;
  for (int64_t e = 0; e < batch.episodes; ++e) {
    episodes.push_back({partOf(batch.edits, e, batch.episodes), partOf(batch.inScope, e, batch.episodes),
                        partOf(batch.outScope, e, batch.episodes)});
  }
  return episodes;
}

TensorTable editedWeights(const MendModules& modules, const Weights& current, const TensorTable& pseudo) {
  const RoleScope role(MemoryRole::EditMemory);
  TensorTable edited;
  for (size_t i = 0; i < modules.matrices().size(); ++i) {
    const std::string& name = modules.matrices()[i].name;
    const at::Tensor rate = modules.alpha_L().select(0, static_cast<int64_t>(i)) * modules.spec().sign();
    edited.emplace(name, at::addcmul(current.at(name), pseudo.at(name), rate));
  }
  return edited;
}

Figures trainingLosses(const Model& base, const MendModules& modules, const EpisodeRows& episode,
                       double share, Statistics& statistics, Gradients& sums, JobContext& context) {
  const MendSpec& spec = modules.spec();
  if (spec.hypergradient == Hypergradient::CreateGraph) {
    const MendModules tracked = modules.tracked();
    EditUpdate update(tracked, base, episode.edits, 0, context);
    update.learn(statistics);
    return oneGraph(base, tracked, episode, share, update, sums, context);
  }
  EditUpdate update(modules, base, episode.edits, spec.keepMiB * kMiB, context);
  update.learn(statistics);
  return twoStages(base, modules, episode, share, update, sums, context);
}

Figures validationLosses(const Model& base, const MendModules& modules, const EpisodeRows& episode,
                         const Statistics& statistics, JobContext& context) {
  EditUpdate update(modules, base, episode.edits, 0, context);
  update.freeze(statistics);
  const TensorTable edited = editedWeights(modules, base.weights, update.pseudoGradients());
  return figuresOf(modules.spec(), update,
                   outerLosses(base, modules.spec(), edited, episode, false, context));
}

}  // namespace seprog
