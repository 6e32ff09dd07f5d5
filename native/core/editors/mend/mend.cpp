// The MEND editor: state, training step, edits. The losses stand in mend_losses.cpp, the way from edits to pseudo-
// gradients and back in edit_update.cpp, the network in editor_network.cpp.
#include "mend.h"

#include <ATen/TensorOperators.h>

#include <cmath>
#include <utility>

#include "../../error.h"
#include "../../tensor/narrow.h"
#include "../overlay_scorer.h"
#include "../trained.h"
#include "mend_checkpoint.h"
#include "mend_losses.h"
#include "mend_optimizer.h"

namespace seprog {
namespace {

class Mend : public TrainedEditor {
 public:
  Mend(const MendSpec& spec, std::shared_ptr<const Model> model)
      : TrainedEditor("mend", std::move(model)),
        modules_(spec, *base()),
        statistics_(modules_.groups().size()),
        optimizer_(spec, modules_.parameters()) {}

  Figures trainStep(const EpisodeBatch& batch, StepRate rate, JobContext& context) override;
  Figures validate(const EpisodeBatch& batch, JobContext& context) override;
  void save(const std::string& directory, bool withOptimizer) const override;
  void restore(const std::string& directory, bool withOptimizer) override;
  std::shared_ptr<Scorer> edit(const EditRequests& requests, std::shared_ptr<Scorer> onto,
                               JobContext& context) override;

 private:
  TensorTable learned() const override;

  MendModules modules_;
  Statistics statistics_;
  MendOptimizer optimizer_;
};

/// Adds `share` times each figure.
void addFigures(const Figures& figures, double share, Figures& means) {
  if (means.empty()) {
    for (const auto& [name, value] : figures) means.emplace_back(name, 0.0);
  }
  for (size_t i = 0; i < figures.size(); ++i) means[i].second += share * figures[i].second;
}

Figures Mend::trainStep(const EpisodeBatch& batch, StepRate rate, JobContext& context) {
  demandOneGrouping(batch);
  const std::vector<EpisodeRows> episodes = episodesOf(batch);
  const double share = 1.0 / static_cast<double>(episodes.size());
  Statistics statistics = statistics_;
  Gradients gradients = zeroGradients(modules_.parameters());
  Figures figures;
  for (const EpisodeRows& episode : episodes) {
    addFigures(trainingLosses(*base(), modules_, episode, share, statistics, gradients, context), share,
               figures);
  }
  context.checkCancelled();
  const auto phase = context.phase("update");
  figures.emplace_back("gradNorm", optimizer_.step(modules_.parameters(), gradients, rate));
  statistics_ = std::move(statistics);
  changed();
  return figures;
}

Figures Mend::validate(const EpisodeBatch& batch, JobContext& context) {
  demandOneGrouping(batch);
  const std::vector<EpisodeRows> episodes = episodesOf(batch);
  Figures figures;
  for (const EpisodeRows& episode : episodes) {
    addFigures(validationLosses(*base(), modules_, episode, statistics_, context),
               1.0 / static_cast<double>(episodes.size()), figures);
  }
  return figures;
}

void Mend::save(const std::string& directory, bool withOptimizer) const {
  if (withOptimizer) optimizer_.save(directory);
  writeMendCheckpoint(directory, modules_, statistics_, baseChecksum(), optimizer_.steps());
}

void Mend::restore(const std::string& directory, bool withOptimizer) {
  MendCheckpoint checkpoint = readMendCheckpoint(directory, modules_, *base(), baseChecksum());
  MendOptimizer optimizer(modules_.spec(), checkpoint.parameters);
  if (withOptimizer) optimizer.restore(directory);
  modules_ = modules_.with(std::move(checkpoint.parameters));
  statistics_ = std::move(checkpoint.statistics);
  optimizer_ = std::move(optimizer);
  changed();
}

TensorTable Mend::learned() const {
  TensorTable all = modules_.parameters();
  all.merge(statisticsTable(modules_, statistics_));
  return all;
}

std::shared_ptr<Scorer> Mend::edit(const EditRequests& requests, std::shared_ptr<Scorer> onto,
                                   JobContext& context) {
  const Weights* below = overlayBelow(*onto, *base(), madeBy());
  demandRows(requests.edits, requests.edits.rows(), "edits");
  if (requests.edits.rows() == 0) return onto;
  const Model current{base()->architecture, below == nullptr ? base()->weights : *below, base()->device};
  EditUpdate update(modules_, current, requests.edits, 0, context);
  update.freeze(statistics_);
  TensorTable edited = editedWeights(modules_, current.weights, update.pseudoGradients());
  double squares = 0;
  for (const auto& [name, weight] : edited) {
    squares += (weight - inFp32(current.weights.at(name))).square().sum().item<double>();
  }
  if (!std::isfinite(squares)) {
    fail(
        ErrorCode::NonFinite,
        "expected finite weights for the edited model but received others; train the editor at a lower rate");
  }
  Figures figures = {{"innerLoss", update.loss()}, {"updateNorm", std::sqrt(squares)}};
  return overlayScorer(base(), base()->weights.with(std::move(edited)), madeBy(), std::move(figures));
}

}  // namespace

std::shared_ptr<Editor> makeMend(const Json& spec, std::shared_ptr<const Model> base) {
  return std::make_shared<Mend>(readMendSpec(spec), std::move(base));
}

}  // namespace seprog
