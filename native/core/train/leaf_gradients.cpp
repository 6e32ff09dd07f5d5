#include "leaf_gradients.h"

#include <torch/csrc/autograd/autograd.h>

#include <optional>
#include <vector>

namespace seprog {

void addLeafGradients(const TensorTable& leaves, const at::Tensor& states_ND, const Head& head,
                      const StateGradients& ofStates, Gradients& sums) {
  std::vector<at::Tensor> outputs{states_ND}, outputGradients{ofStates.h_ND};
  appendHead(head, ofStates, outputs, outputGradients);
  std::vector<at::Tensor> inputs;
  for (const auto& [name, leaf] : leaves) inputs.push_back(leaf);
  const auto gradients = torch::autograd::grad(outputs, inputs, outputGradients, std::nullopt, false, true);
  size_t next = 0;
  for (const auto& [name, leaf] : leaves) {
    const at::Tensor& gradient = gradients[next++];
    if (!gradient.defined()) continue;
    at::Tensor& sum = sums[name];
    sum = sum.defined() ? sum.add_(gradient) : gradient.clone(at::MemoryFormat::Contiguous);
  }
}

}  // namespace seprog
