// Which kernels the ops run: ours, which fuse what surrounds the matrix products, or the plain composition of
// libtorch's ops that defines them.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "../cuda/kernel_source.h"

namespace seprog {

enum class Kernels { Fused, Reference };

/// "fused" | "reference".
const char* kernelsName(Kernels kernels);

/// The policy of the process: SEPROG_KERNELS where it is set, else fused. Throws CONFIG_INVALID for another word.
/// An op whose fused kernel does not cover a device or dtype runs its reference there whatever the policy.
Kernels kernels();

/// What compiles kernels for a GPU in this process: "NVRTC 12.8", or one sentence on why nothing does.
std::string gpuCompiler();

/// Replaces the policy. For calls that begin later; tests and the op bench compare both in one process.
void useKernels(Kernels kernels);

/// What an op runs on the tensors it was handed.
enum class Path {
  Reference,
  Cpu,
  Cuda,
  Planned,  // on a planned device: allocates what the real device's kernels would, and computes nothing
};

/// The one rule of all ops. Under the fused policy fp32 goes to our loops on a CPU; fp32, fp16 and bf16 go to the
/// kernels of `source` on a GPU for which they can be compiled (says once why not). A planned GPU is one that has a
/// compiler. All else is the reference's.
Path pathOf(const at::Tensor& x, const cuda::KernelSource& source);

/// The kernel of a family for the dtype of `x`: "score" → "score_f32", "score_f16" or "score_bf16".
std::string kernelFor(const char* family, const at::Tensor& x);

}  // namespace seprog
