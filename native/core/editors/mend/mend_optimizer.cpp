#include "mend_optimizer.h"

#include <cmath>
#include <utility>

#include "../../error.h"
#include "../../train/losses.h"

namespace seprog {
namespace {

/// α, or all others.
TensorTable part(const TensorTable& table, bool alpha) {
  TensorTable chosen;
  for (const auto& [name, tensor] : table) {
    if ((name == "alpha") == alpha) chosen.emplace(name, tensor);
  }
  return chosen;
}

}  // namespace

MendOptimizer::MendOptimizer(const MendSpec& spec, const TensorTable& parameters)
    : clipNorm_(spec.clipNorm),
      alphaRate_(spec.alphaLearningRate),
      networks_(spec.optimizer, part(parameters, false)),
      alpha_(spec.optimizer, part(parameters, true)) {}

double MendOptimizer::step(const TensorTable& parameters, const Gradients& gradients, const StepRate& rate) {
  if (!std::isfinite(rate.factor) || rate.factor < 0) {
    fail(ErrorCode::DataInvalid, "expected a finite number of 0 or more for `rateFactor` but received " +
                                     std::to_string(rate.factor));
  }
  const double norm = demandFinite(globalNorm(gradients), "gradNorm");
  const double scale = clipFactor(norm, clipNorm_);
  networks_.step(part(parameters, false), part(gradients, false), rate.value, scale);
  alpha_.step(part(parameters, true), part(gradients, true), alphaRate_ * rate.factor, scale);
  return norm;
}

void MendOptimizer::save(const std::string& directory) const {
  networks_.save(directory + "/optimizer.safetensors");
  alpha_.save(directory + "/optimizer.alpha.safetensors");
}

void MendOptimizer::restore(const std::string& directory) {
  Adam networks = networks_;
  networks.restore(directory + "/optimizer.safetensors");
  alpha_.restore(directory + "/optimizer.alpha.safetensors");
  networks_ = std::move(networks);
}

}  // namespace seprog
