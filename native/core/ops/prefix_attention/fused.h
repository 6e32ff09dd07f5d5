// The fused attention over spans on each device: contiguous keys and values, one dtype, numbers of a row side by side.
#pragma once

#include "prefix_attention.h"

namespace seprog::prefix_attention {

/// H heads of C channels.
struct Shape {
  int64_t heads, width;
  float scale;
};

/// The widest heads that the CUDA kernels take: four channels a lane of a warp.
constexpr int64_t kMostCudaChannels = 128;

at::Tensor attendCuda(const at::Tensor& q_RD, const at::Tensor& k_ND, const at::Tensor& v_ND,
                      const Spans& spans, const Shape& shape, const at::Tensor& bias_HT);

}  // namespace seprog::prefix_attention
