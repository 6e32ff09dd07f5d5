#include "serac.h"

#include "../../error.h"
#include "../../train/losses.h"
#include "../model_scorer.h"
#include "../trained.h"
#include "routed_scorer.h"
#include "serac_checkpoint.h"
#include "serac_losses.h"
#include "serac_models.h"

namespace seprog {
namespace {

class Serac : public TrainedEditor {
 public:
  Serac(const SeracSpec& spec, std::shared_ptr<const Model> model)
      : TrainedEditor("serac", std::move(model)),
        spec_(spec),
        models_(std::make_shared<SeracModels>(startSerac(spec, *base()))),
        adam_(spec.optimizer, models_->parameters()) {}

  Figures trainStep(const EpisodeBatch& batch, StepRate rate, JobContext& context) override {
    demandOneGrouping(batch);
    // Scorers keep the weights they were made with: training goes on with a copy when one still holds them.
    if (models_.use_count() > 1) models_ = std::make_shared<SeracModels>(models_->clone());
    SeracLosses step = seracLosses(models_->tracked(), spec_, batch, true, context);
    context.checkCancelled();
    const auto phase = context.phase("update");
    const double gradNorm = demandFinite(globalNorm(step.gradients), "gradNorm");
    adam_.step(models_->parameters(), step.gradients, rate.value, clipFactor(gradNorm, spec_.clipNorm));
    changed();
    step.figures.emplace_back("gradNorm", gradNorm);
    return step.figures;
  }

  Figures validate(const EpisodeBatch& batch, JobContext& context) override {
    demandOneGrouping(batch);
    return seracLosses(*models_, spec_, batch, false, context).figures;
  }

  void save(const std::string& directory, bool withOptimizer) const override {
    if (withOptimizer) adam_.save(directory + "/optimizer.safetensors");
    writeSeracCheckpoint(directory, spec_, *models_, baseChecksum(), adam_.steps());
  }

  void restore(const std::string& directory, bool withOptimizer) override {
    auto restored =
        std::make_shared<SeracModels>(readSeracCheckpoint(directory, spec_, *models_, baseChecksum()));
    Adam adam(spec_.optimizer, restored->parameters());
    if (withOptimizer) adam.restore(directory + "/optimizer.safetensors");
    models_ = std::move(restored);
    adam_ = std::move(adam);
    changed();
  }

  std::shared_ptr<Scorer> edit(const EditRequests& requests, std::shared_ptr<Scorer> onto,
                               JobContext& context) override {
    const StoredEdits below = editsBelow(*onto);
    const StoredEdits added = storedEdits(requests, *models_, spec_, context);
    return std::make_shared<RoutedScorer>(base(), models_, spec_, below.with(added), fingerprint());
  }

 private:
  TensorTable learned() const override { return models_->parameters(); }

  /// The edits that `onto` answers from, none for the base; throws UNSUPPORTED for others.
  StoredEdits editsBelow(const Scorer& onto) const {
    demandBase(onto, *base());
    if (isBaseScorer(onto)) return {};
    const auto* routed = dynamic_cast<const RoutedScorer*>(&onto);
    if (routed == nullptr || routed->madeBy() != fingerprint()) {
      fail(ErrorCode::Unsupported,
           "expected a base model or a model edited by this editor for `onto` but received one that another "
           "editor has edited; edit the base");
    }
    return routed->edits();
  }

  SeracSpec spec_;
  std::shared_ptr<SeracModels> models_;
  Adam adam_;
};

}  // namespace

std::shared_ptr<Editor> makeSerac(const Json& json, std::shared_ptr<const Model> base) {
  return std::make_shared<Serac>(readSeracSpec(json), std::move(base));
}

}  // namespace seprog
