// RMSprop as PyTorch defines it (not centred, no momentum, no weight decay).
#pragma once

#include "optimizer.h"

namespace seprog {

class RmsProp {
 public:
  explicit RmsProp(double smoothing = 0.99, double epsilon = 1e-8)
      : smoothing_(smoothing), epsilon_(epsilon) {}

  /// p ← p − lr·g/(√v + ε) in place with v ← s·v + (1−s)·g² and g scaled by `gradientScale`; v starts at zero.
  void step(const TensorTable& parameters, const Gradients& gradients, double learningRate,
            double gradientScale);

 private:
  double smoothing_;
  double epsilon_;
  TensorTable v_;
};

}  // namespace seprog
