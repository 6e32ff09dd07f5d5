// Which kernels the ops run: ours, which fuse what surrounds the matrix products, or the plain composition of
// libtorch's ops that defines them.
#pragma once

#include <string>

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

}  // namespace seprog
