// Adam over the editor networks at the step's rate and over the learned edit rates at a rate of their own.
#pragma once

#include <string>

#include "../../train/optimizer.h"
#include "../editor.h"
#include "mend_spec.h"

namespace seprog {

class MendOptimizer {
 public:
  MendOptimizer(const MendSpec& spec, const TensorTable& parameters);

  /// Clips the joint norm of all gradients. α moves at alphaLearningRate times the schedule's factor. Returns the norm
  /// before clipping; throws NON_FINITE naming `gradNorm` before anything changes.
  double step(const TensorTable& parameters, const Gradients& gradients, const StepRate& rate);
  int64_t steps() const { return networks_.steps(); }

  /// optimizer.safetensors and optimizer.alpha.safetensors.
  void save(const std::string& directory) const;
  /// Throws CHECKPOINT_INVALID; nothing changes then.
  void restore(const std::string& directory);

 private:
  double clipNorm_;
  double alphaRate_;
  Adam networks_;
  Adam alpha_;
};

}  // namespace seprog
