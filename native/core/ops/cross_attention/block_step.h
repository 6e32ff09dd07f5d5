// What happens to one block of products between the two matrix products of cross-attention, on each device.
// G = nR queries of all groups, C rows of the block, H width.
#pragma once

#include <ATen/core/Tensor.h>

namespace seprog::cross_attention {

/// The softmax so far of every query.
struct Running {
  at::Tensor max_G;
  at::Tensor sum_G;     // of e^(s − max)
  at::Tensor acc_GH;    // Σ e^(s − max) row, float
  at::Tensor argmax_G;  // int64, undefined unless wanted
};

/// s_GC holds the scaled products with rows first … first+C−1: they become e^(s − max) with the new maximum, and
/// what has been summed is brought to it.
void advanceCpu(const at::Tensor& s_GC, int64_t first, const Running& running);
void advanceCuda(const at::Tensor& s_GC, int64_t first, const Running& running);

/// s_GC becomes p = e^(s − logSum) and dp_GC, the gradient for p, becomes the gradient p (dp − dot) for s.
void backCpu(const at::Tensor& s_GC, const at::Tensor& dp_GC, const at::Tensor& logSum_G,
             const at::Tensor& dot_G);
void backCuda(const at::Tensor& s_GC, const at::Tensor& dp_GC, const at::Tensor& logSum_G,
              const at::Tensor& dot_G);

}  // namespace seprog::cross_attention
