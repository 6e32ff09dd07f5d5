#include "seprog_optimizer.h"

#include <cmath>

#include "../../error.h"
#include "../../train/losses.h"
#include "seprog_modules.h"

namespace seprog {
namespace {

/// The entries of the base, or all others.
TensorTable part(const TensorTable& table, bool ofBase) {
  TensorTable chosen;
  for (const auto& [name, tensor] : table) {
    if (name.starts_with(kBasePrefix) == ofBase) chosen.emplace(name, tensor);
  }
  return chosen;
}

}  // namespace

SeprogOptimizer::SeprogOptimizer(const SeprogSpec& spec, const TensorTable& parameters)
    : clipNorm_(spec.clipNorm),
      baseRate_(spec.finetuneLearningRate),
      modules_(spec.optimizer, part(parameters, false)) {
  if (spec.tunesBase()) base_.emplace(spec.optimizer, part(parameters, true));
}

double SeprogOptimizer::step(const TensorTable& parameters, const Gradients& gradients,
                             const StepRate& rate) {
  if (!std::isfinite(rate.factor) || rate.factor < 0) {
    fail(ErrorCode::DataInvalid, "expected a finite number of 0 or more for `rateFactor` but received " +
                                     std::to_string(rate.factor));
  }
  const double norm = demandFinite(globalNorm(gradients), "gradNorm");
  const double scale = clipFactor(norm, clipNorm_);
  modules_.step(parameters, part(gradients, false), rate.value, scale);
  const Gradients ofBase = part(gradients, true);
  if (base_ && !ofBase.empty()) base_->step(parameters, ofBase, baseRate_ * rate.factor, scale);
  return norm;
}

void SeprogOptimizer::save(const std::string& directory) const {
  modules_.save(directory + "/optimizer.safetensors");
  if (base_) base_->save(directory + "/optimizer.base.safetensors");
}

void SeprogOptimizer::restore(const std::string& directory) {
  Adam modules = modules_;
  modules.restore(directory + "/optimizer.safetensors");
  if (base_) base_->restore(directory + "/optimizer.base.safetensors");
  modules_ = std::move(modules);
}

}  // namespace seprog
