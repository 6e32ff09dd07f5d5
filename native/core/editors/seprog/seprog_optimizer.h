// Adam over the modules at the step's rate and, where the base is tuned with them, over its weights at a rate of their own.
#pragma once

#include <optional>
#include <string>

#include "../../train/optimizer.h"
#include "../editor.h"
#include "seprog_spec.h"

namespace seprog {

class SeprogOptimizer {
 public:
  SeprogOptimizer(const SeprogSpec& spec, const TensorTable& parameters);

  /// Clips the joint norm of all gradients. Base weights move at finetuneLearningRate times the schedule's factor.
  /// Returns the norm before clipping; throws NON_FINITE naming `gradNorm` before anything changes.
  double step(const TensorTable& parameters, const Gradients& gradients, const StepRate& rate);
  int64_t steps() const { return modules_.steps(); }

  /// optimizer.safetensors and, for a tuned base, optimizer.base.safetensors.
  void save(const std::string& directory) const;
  /// Throws CHECKPOINT_INVALID; nothing changes then.
  void restore(const std::string& directory);

 private:
  double clipNorm_;
  double baseRate_;
  Adam modules_;
  std::optional<Adam> base_;
};

}  // namespace seprog
