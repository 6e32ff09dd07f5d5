// The fused divergence without a graph.
#pragma once

#include "../kernels.h"
#include "masked_kl.h"

namespace seprog::masked_kl {

/// What runs on these logits under the present policy.
Path pathOf(const at::Tensor& p_NV, const at::Tensor& q_NV);

/// maskedKl() on a path that is not the reference: contiguous tensors, weights and divergences in float.
void run(Path path, const at::Tensor& p_NV, const at::Tensor& q_NV, const at::Tensor& weight_N,
         const at::Tensor& kl_N);

}  // namespace seprog::masked_kl
