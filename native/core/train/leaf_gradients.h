// Gradients for some weights of a model, chunk by chunk of a batch.
#pragma once

#include "optimizer.h"
#include "state_gradients.h"

namespace seprog {

/// From the states of a chunk, [N, D], and a trained head back to `leaves`, added to `sums`. Leaves that the
/// states do not depend on stay without an entry.
void addLeafGradients(const TensorTable& leaves, const at::Tensor& states_ND, const Head& head,
                      const StateGradients& ofStates, Gradients& sums);

}  // namespace seprog
