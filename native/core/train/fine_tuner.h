// Plain training of a whole model on (source, target) pairs: how the mini base models are made.
#pragma once

#include <memory>
#include <string>

#include "../editors/editor.h"

namespace seprog {

/// Options: {"optimizer": {"kind": "adam", "beta1", "beta2", "epsilon", "weightDecay"}, "clipNorm"}.
class FineTuner {
 public:
  virtual ~FineTuner() = default;
  /// Figures: "loss" (token-mean NLL), "gradNorm" (before clipping), "rowAccuracy" (all target tokens arg-max).
  virtual Figures trainStep(const PairRows& batch, double learningRate, JobContext& context) = 0;
  virtual Figures validate(const PairRows& batch, JobContext& context) = 0;
  /// The current weights as an immutable model (a copy: later steps do not change it).
  virtual Model snapshot() const = 0;
  virtual void save(const std::string& directory, bool withOptimizer) const = 0;
  virtual void restore(const std::string& directory, bool withOptimizer) = 0;
};

std::shared_ptr<FineTuner> makeFineTuner(const Json& options, const Model& start);

}  // namespace seprog
