// T5's position-wise layers (models.md section 4). N rows, D width, F inner width.
#pragma once

#include <ATen/core/Tensor.h>

#include "../tensor/weights.h"

namespace seprog {

enum class FeedForwardKind { Relu, GatedGelu };

/// relu: wo(relu(wi x)); gated-gelu: wo(gelu_new(wi_0 x) ⊙ (wi_1 x)). `scope` holds the weights.
at::Tensor feedForward(const Scope& scope, FeedForwardKind kind, const at::Tensor& x_ND);

}  // namespace seprog
