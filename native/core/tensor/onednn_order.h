// Weights in the order in which oneDNN multiplies with them, rearranged once instead of at every product. O outputs, I
// inputs, N rows.
#pragma once

#include <ATen/core/Tensor.h>

namespace seprog {

/// An opaque tensor of the same size, for oneDnnLinear() alone.
at::Tensor oneDnnOrder(const at::Tensor& weight_OI);

/// x_NI weightᵀ + bias in fp32: [N, O]; an undefined bias is none. Records no graph.
at::Tensor oneDnnLinear(const at::Tensor& x_NI, const at::Tensor& ordered_OI, const at::Tensor& bias_O);

}  // namespace seprog
