// Root-mean-square norm (models.md section 3). N rows, D width.
#pragma once

#include <ATen/core/Tensor.h>

namespace seprog {

/// x · rsqrt(mean(x²) + epsilon) · weight: no mean subtraction, no bias.
/// Saves x and one number per row; differentiable any number of times.
at::Tensor rmsNorm(const at::Tensor& x_ND, const at::Tensor& weight_D, double epsilon);

}  // namespace seprog
