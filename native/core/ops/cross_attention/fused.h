// The fused forward and backward of cross-attention without a graph.
#pragma once

#include "../kernels.h"
#include "cross_attention.h"

namespace seprog::cross_attention {

/// What runs on these tensors under the present policy.
Path pathOf(const at::Tensor& q_nRH, const at::Tensor& rows_nKH);

/// Whether all rows pass in one block: the reference then holds no more than the fused kernels do.
bool isOneBlock(const at::Tensor& q_nRH, const at::Tensor& rows_nKH);

struct Forward {
  CrossAttention result;
  at::Tensor logSum_G;  // ln Σ e^s of each query, what the backward needs
  Path path;            // not the reference; the backward takes the same
};
Forward forward(Path path, const at::Tensor& q_nRH, const at::Tensor& rows_nKH, double scale,
                CrossAttentionWants wants);

struct Gradients {
  at::Tensor q_nRH;
  at::Tensor rows_nKH;
};
Gradients backward(const at::Tensor& q_nRH, const at::Tensor& rows_nKH, double scale, const Forward& forward,
                   const at::Tensor& dh_nRH);

}  // namespace seprog::cross_attention
