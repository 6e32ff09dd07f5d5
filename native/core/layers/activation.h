// Element-wise non-linearities of feed-forward layers (models.md section 3). N rows, F inner width.
#pragma once

#include <ATen/core/Tensor.h>

namespace seprog {

/// Gelu: x·Φ(x). GeluNew: its form with a hyperbolic tangent. Relu: max(x, 0).
enum class Activation { Gelu, GeluNew, Relu };

/// Differentiable any number of times; an element's result does not depend on what stands beside it.
at::Tensor activate(Activation kind, const at::Tensor& x_NF);

}  // namespace seprog
