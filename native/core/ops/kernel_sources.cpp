#include "kernel_sources.h"

namespace seprog {

const cuda::KernelSource kCrossAttentionKernels = {
    "cross_attention",
#include <embedded/core/ops/cross_attention/cuda.cu.inc>
};

const cuda::KernelSource kMaskedKlKernels = {
    "masked_kl",
#include <embedded/core/ops/masked_kl/cuda.cu.inc>
};

const cuda::KernelSource kMaskedNllKernels = {
    "masked_nll",
#include <embedded/core/ops/masked_nll/cuda.cu.inc>
};

const cuda::KernelSource kPrefixAttentionKernels = {
    "prefix_attention",
#include <embedded/core/ops/prefix_attention/cuda.cu.inc>
};

std::vector<cuda::KernelSource> kernelSources() {
  return {kCrossAttentionKernels, kMaskedKlKernels, kMaskedNllKernels, kPrefixAttentionKernels};
}

}  // namespace seprog
