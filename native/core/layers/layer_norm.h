// Layer norm with weight and bias (models.md section 3). N rows, D width.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "../tensor/weights.h"

namespace seprog {

/// (x − mean) / √(biased variance + epsilon) · `layer`.weight + `layer`.bias, row by row.
at::Tensor layerNorm(const Scope& scope, const std::string& layer, const at::Tensor& x_ND, double epsilon);

}  // namespace seprog
