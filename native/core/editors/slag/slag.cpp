// The SLAG editor: state, training step, edits. The network stands in hypernetwork.cpp, an edit in inner_steps.cpp,
// what training asks for in objective.cpp and how it reaches the network in slag_losses.cpp.
#include "slag.h"

#include <ATen/core/grad_mode.h>

#include <string>

#include "../../error.h"
#include "../../train/losses.h"
#include "../overlay_scorer.h"
#include "../trained.h"
#include "hypernetwork.h"
#include "inner_steps.h"
#include "slag_checkpoint.h"
#include "slag_losses.h"

namespace seprog {
namespace {

class Slag : public TrainedEditor {
 public:
  Slag(const SlagSpec& spec, std::shared_ptr<const Model> model)
      : TrainedEditor("slag", std::move(model)),
        spec_(spec),
        network_(spec, *base()),
        optimizer_(spec.optimizer, network_.parameters()) {}

  Figures trainStep(const EpisodeBatch& batch, StepRate rate, JobContext& context) override;
  Figures validate(const EpisodeBatch& batch, JobContext& context) override;
  void save(const std::string& directory, bool withOptimizer) const override;
  void restore(const std::string& directory, bool withOptimizer) override;
  std::shared_ptr<Scorer> edit(const EditRequests& requests, std::shared_ptr<Scorer> onto,
                               JobContext& context) override;

 private:
  TensorTable learned() const override { return network_.parameters(); }

  SlagSpec spec_;
  Hypernetwork network_;
  Adam optimizer_;
};

Figures Slag::trainStep(const EpisodeBatch& batch, StepRate rate, JobContext& context) {
  demandOneGrouping(batch);
  SlagLosses step = slagLosses(*base(), network_.tracked(), batch, true, context);
  context.checkCancelled();
  const auto phase = context.phase("update");
  // Over the network alone; the authors' code clips with the gradients of the base model in the norm.
  const double gradNorm = demandFinite(globalNorm(step.gradients), "gradNorm");
  optimizer_.step(network_.parameters(), step.gradients, rate.value, clipFactor(gradNorm, spec_.clipNorm));
  changed();
  step.figures.emplace_back("gradNorm", gradNorm);
  return step.figures;
}

Figures Slag::validate(const EpisodeBatch& batch, JobContext& context) {
  demandOneGrouping(batch);
  return slagLosses(*base(), network_, batch, false, context).figures;
}

void Slag::save(const std::string& directory, bool withOptimizer) const {
  if (withOptimizer) optimizer_.save(directory + "/optimizer.safetensors");
  writeCheckpoint(directory, network_, baseChecksum(), optimizer_.steps());
}

void Slag::restore(const std::string& directory, bool withOptimizer) {
  Hypernetwork restored = network_.with(readCheckpoint(directory, network_, baseChecksum()));
  Adam optimizer(spec_.optimizer, restored.parameters());
  if (withOptimizer) optimizer.restore(directory + "/optimizer.safetensors");
  network_ = std::move(restored);
  optimizer_ = std::move(optimizer);
  changed();
}

std::shared_ptr<Scorer> Slag::edit(const EditRequests& requests, std::shared_ptr<Scorer> onto,
                                   JobContext& context) {
  const int64_t edits = requests.edits.rows();
  if (requests.editText.rows() != edits || requests.edits.target.rows() != edits) {
    fail(ErrorCode::DataInvalid,
         "expected as many sources, targets and edit texts for `edits` but received " +
             std::to_string(edits) + ", " + std::to_string(requests.edits.target.rows()) + " and " +
             std::to_string(requests.editText.rows()));
  }
  const Weights* below = overlayBelow(*onto, *base(), madeBy());
  const Model start{base()->architecture, below == nullptr ? base()->weights : *below, base()->device};
  const Architecture& family = *base()->architecture;
  TensorTable accumulated;
  double steps = 0, right = 0;
  for (int64_t e = 0; e < edits; ++e) {
    context.checkCancelled();
    UpdateRules rules;
    {
      at::NoGradGuard noGrad;
      const auto phase = context.phase("condition");
      rules = network_.rules(network_
                                 .condition(pad(slice(requests.editText, e, 1), family.padId(),
                                                family.vocabulary(), base()->device))
                                 .squeeze(0));
    }
    const auto phase = context.phase("inner_steps");
    const PairRows edit{slice(requests.edits.source, e, 1), slice(requests.edits.target, e, 1)};
    const InnerSteps taken =
        takeInnerSteps(start, rules, edit, spec_.innerSteps, spec_.microBatch, accumulated, {}, context);
    steps += static_cast<double>(taken.steps);
    right += taken.right ? 1 : 0;
  }
  const double count = edits == 0 ? 1.0 : static_cast<double>(edits);
  Figures figures = {
      {"steps", steps / count}, {"stoppedShare", right / count}, {"updateNorm", globalNorm(accumulated)}};
  const EditedModel edited = editedModel(start, network_.edited(), accumulated, false);
  return overlayScorer(base(), base()->weights.with(edited.weights), madeBy(), std::move(figures));
}

}  // namespace

std::shared_ptr<Editor> makeSlag(const Json& spec, std::shared_ptr<const Model> base) {
  return std::make_shared<Slag>(readSlagSpec(spec), std::move(base));
}

}  // namespace seprog
