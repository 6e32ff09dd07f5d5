// Backward passes, told apart in a measurement: phases and a role of their own.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace seprog {

struct BackwardOptions {
  /// An input that no output depends on gets an undefined gradient; else it is an error.
  bool allowUnused = true;
  /// For a second derivative: the pass is recorded, and the graph it went through is kept.
  bool recordGraph = false;
};

/// Gradients of the outputs, weighted by `outputGradients` (none: of one scalar), for `inputs`. All that the pass makes
/// counts as gradients, where it is recorded as the hypergradient's.
std::vector<at::Tensor> gradientsFor(const std::vector<at::Tensor>& outputs,
                                     const std::vector<at::Tensor>& inputs,
                                     const std::vector<at::Tensor>& outputGradients = {},
                                     const BackwardOptions& options = {});

/// The same for all leaves, added to what they hold.
void runBackward(const std::vector<at::Tensor>& outputs, const std::vector<at::Tensor>& outputGradients = {});

}  // namespace seprog
