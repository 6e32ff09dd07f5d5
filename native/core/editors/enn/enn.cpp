// The ENN editor: state, training step, edits. Losses and their gradients stand in enn_losses.cpp, the way through the
// inner step in train/hypergradient.cpp.
#include "enn.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>

#include <cmath>
#include <string>

#include "../../error.h"
#include "../../instrument/memory_role.h"
#include "../../tensor/narrow.h"
#include "../../train/losses.h"
#include "../overlay_scorer.h"
#include "../trained.h"
#include "enn_checkpoint.h"
#include "enn_losses.h"

namespace seprog {
namespace {

EnnParameters startOf(const Model& base, const EnnSpec& spec) {
  EnnParameters start;
  for (const auto& [name, tensor] : base.weights.flatten()) start.theta.emplace(name, inFp32(tensor).clone());
  start.innerRate_M = at::full({static_cast<int64_t>(base.architecture->editableWeights().size())},
                               spec.innerRate, at::TensorOptions(at::kFloat));
  return start;
}

TensorTable ratesTable(const at::Tensor& innerRate_M) { return {{"innerRate", innerRate_M}}; }

class Enn : public TrainedEditor {
 public:
  Enn(const EnnSpec& spec, std::shared_ptr<const Model> model)
      : TrainedEditor("enn", std::move(model)),
        spec_(spec),
        parameters_(startOf(*base(), spec)),
        theta_(spec.optimizer, parameters_.theta),
        innerRates_(spec.optimizer, ratesTable(parameters_.innerRate_M)) {}

  Figures trainStep(const EpisodeBatch& batch, StepRate rate, JobContext& context) override;
  Figures validate(const EpisodeBatch& batch, JobContext& context) override {
    return ennFigures(*base(), parameters_, spec_, batch, context);
  }
  void save(const std::string& directory, bool withOptimizer) const override;
  void restore(const std::string& directory, bool withOptimizer) override;
  std::shared_ptr<Scorer> edit(const EditRequests& requests, std::shared_ptr<Scorer> onto,
                               JobContext& context) override;

 private:
  TensorTable learned() const override { return flatten(parameters_); }

  EnnSpec spec_;
  EnnParameters parameters_;
  Adam theta_;
  Adam innerRates_;
  bool lent_ = false;  // scorers answer from these very tensors: the next step leaves them alone
};

Figures Enn::trainStep(const EpisodeBatch& batch, StepRate rate, JobContext& context) {
  if (!std::isfinite(rate.factor) || rate.factor < 0) {
    fail(ErrorCode::DataInvalid, "expected a finite number of 0 or more for `rateFactor` but received " +
                                     std::to_string(rate.factor));
  }
  EnnLosses step = ennGradients(*base(), parameters_, spec_, batch, context);
  context.checkCancelled();
  const auto phase = context.phase("update");
  const TensorTable ofRates = ratesTable(step.innerRate_M);
  const double gradNorm = demandFinite(std::hypot(globalNorm(step.theta), globalNorm(ofRates)), "gradNorm");
  const double scale = clipFactor(gradNorm, spec_.clipNorm);
  if (lent_) {
    const RoleScope role(MemoryRole::Editor);
    for (auto& [name, tensor] : parameters_.theta) tensor = tensor.clone();
    lent_ = false;
  }
  theta_.step(parameters_.theta, step.theta, rate.value, scale);
  innerRates_.step(ratesTable(parameters_.innerRate_M), ofRates, spec_.innerRateLearningRate * rate.factor,
                   scale);
  changed();
  step.figures.emplace_back("gradNorm", gradNorm);
  return step.figures;
}

void Enn::save(const std::string& directory, bool withOptimizer) const {
  if (withOptimizer) {
    theta_.save(directory + "/optimizer.safetensors");
    innerRates_.save(directory + "/optimizer.innerRate.safetensors");
  }
  writeCheckpoint(directory, parameters_, spec_, *base(), baseChecksum(), theta_.steps());
}

void Enn::restore(const std::string& directory, bool withOptimizer) {
  EnnParameters restored = readCheckpoint(directory, parameters_, spec_, baseChecksum());
  Adam theta(spec_.optimizer, restored.theta);
  Adam innerRates(spec_.optimizer, ratesTable(restored.innerRate_M));
  if (withOptimizer) {
    theta.restore(directory + "/optimizer.safetensors");
    innerRates.restore(directory + "/optimizer.innerRate.safetensors");
  }
  parameters_ = std::move(restored);
  theta_ = std::move(theta);
  innerRates_ = std::move(innerRates);
  lent_ = false;
  changed();
}

std::shared_ptr<Scorer> Enn::edit(const EditRequests& requests, std::shared_ptr<Scorer> onto,
                                  JobContext& context) {
  const Weights* below = overlayBelow(*onto, *base(), madeBy());
  const Model start{base()->architecture, below == nullptr ? Weights(parameters_.theta) : *below,
                    base()->device};
  lent_ = true;
  if (requests.edits.rows() == 0) return overlayScorer(base(), start.weights, madeBy(), {});
  const auto phase = context.phase("inner");
  const InnerPass pass = innerPass(start, innerLoop(*base()->architecture, spec_, parameters_.innerRate_M),
                                   requests.edits, context);
  Figures figures = {{"steps", static_cast<double>(spec_.innerSteps)},
                     {"editLossBefore", demandFinite(pass.loss, "editLossBefore")}};
  return overlayScorer(base(), start.weights.with(pass.weights.back()), madeBy(), std::move(figures));
}

}  // namespace

std::shared_ptr<Editor> makeEnn(const Json& spec, std::shared_ptr<const Model> base) {
  return std::make_shared<Enn>(readEnnSpec(spec), std::move(base));
}

}  // namespace seprog
