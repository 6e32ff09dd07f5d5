#include "backward.h"

#include <torch/csrc/autograd/autograd.h>

#include <optional>

#include "../instrument/memory_role.h"
#include "../instrument/meter.h"

namespace seprog {

std::vector<at::Tensor> gradientsFor(const std::vector<at::Tensor>& outputs,
                                     const std::vector<at::Tensor>& inputs,
                                     const std::vector<at::Tensor>& outputGradients,
                                     const BackwardOptions& options) {
  const BackwardPhase phase;
  const RoleScope role(options.recordGraph ? MemoryRole::Hypergradient : MemoryRole::Gradients);
  return torch::autograd::grad(outputs, inputs, outputGradients, std::nullopt, options.recordGraph,
                               options.allowUnused);
}

void runBackward(const std::vector<at::Tensor>& outputs, const std::vector<at::Tensor>& outputGradients) {
  const BackwardPhase phase;
  const RoleScope role(MemoryRole::Gradients);
  torch::autograd::backward(outputs, outputGradients);
}

}  // namespace seprog
