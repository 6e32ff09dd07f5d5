// Adam as PyTorch defines it, one fused pass over parameters, gradients and both moments, and global-norm
// clipping.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "../options.h"
#include "../tensor/weights.h"

namespace seprog {

/// Gradients by parameter name. A parameter without an entry is left alone, moments included.
using Gradients = TensorTable;

/// The L2 norm over all gradients together. Summed in double in an order that does not depend on the thread
/// count; NaN or infinity when any element is.
double globalNorm(const Gradients& gradients);

/// What torch.nn.utils.clip_grad_norm_ multiplies gradients with: maxNorm / (norm + 1e-6), at most 1.
double clipFactor(double norm, double maxNorm);

struct AdamOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weightDecay = 0.0;
  bool decoupledDecay = false;  // AdamW: the weight shrinks by learningRate·weightDecay before the step
};

/// Reads {kind adam|adamw, beta1, beta2, epsilon, weightDecay}. Throws CONFIG_INVALID.
AdamOptions readAdamOptions(Options options);

class Adam {
 public:
  /// Moments start at zero, one pair per parameter.
  Adam(const AdamOptions& options, const TensorTable& parameters);

  /// p ← p − lr·m̂/(√v̂ + ε) in place, with gradients scaled by `gradientScale` on the way.
  /// Everything is checked before the first write: a throw leaves parameters and moments as they were.
  void step(const TensorTable& parameters, const Gradients& gradients, double learningRate,
            double gradientScale);

  int64_t steps() const { return steps_; }

  /// One safetensors file: "m.<name>", "v.<name>" and the step count in its metadata.
  void save(const std::string& path) const;
  /// Throws CHECKPOINT_INVALID when names or shapes differ; nothing changes then.
  void restore(const std::string& path);

 private:
  AdamOptions options_;
  TensorTable m_;
  TensorTable v_;
  int64_t steps_ = 0;
};

}  // namespace seprog
