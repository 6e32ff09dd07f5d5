// The GPU kernels of the ops as text.
#pragma once

#include <vector>

#include "../cuda/kernel_source.h"

namespace seprog {

extern const cuda::KernelSource kCrossAttentionKernels;
extern const cuda::KernelSource kMaskedKlKernels;
extern const cuda::KernelSource kMaskedNllKernels;
extern const cuda::KernelSource kPrefixAttentionKernels;

/// Every source there is, for those who compile or list them all.
std::vector<cuda::KernelSource> kernelSources();

}  // namespace seprog
