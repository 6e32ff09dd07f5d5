#include "leaf_gradients.h"

#include <vector>

#include "../instrument/memory_role.h"
#include "backward.h"

namespace seprog {

void addLeafGradients(const TensorTable& leaves, const at::Tensor& states_ND, const Head& head,
                      const StateGradients& ofStates, Gradients& sums) {
  std::vector<at::Tensor> outputs{states_ND}, outputGradients{ofStates.h_ND};
  appendHead(head, ofStates, outputs, outputGradients);
  std::vector<at::Tensor> inputs;
  for (const auto& [name, leaf] : leaves) inputs.push_back(leaf);
  const auto gradients = gradientsFor(outputs, inputs, outputGradients);
  const RoleScope role(MemoryRole::Gradients);
  size_t next = 0;
  for (const auto& [name, leaf] : leaves) {
    const at::Tensor& gradient = gradients[next++];
    if (!gradient.defined()) continue;
    at::Tensor& sum = sums[name];
    sum = sum.defined() ? sum.add_(gradient) : gradient.clone(at::MemoryFormat::Contiguous);
  }
}

}  // namespace seprog
