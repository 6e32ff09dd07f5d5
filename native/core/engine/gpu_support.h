// Which GPUs a CUDA build of libtorch has code for: told before anything runs, in place of "no kernel image is available".
#pragma once

#include <string>
#include <vector>

namespace seprog {

/// 80 for an A100: ten times the major number, and the minor one.
using ComputeCapability = int;

/// "8.0".
std::string capabilityText(ComputeCapability capability);

/// One architecture that a libtorch was built for.
struct GpuTarget {
  ComputeCapability capability;
  bool forLater;  // as PTX, which the driver can translate for every later architecture
};

/// From libtorch's own description of its build (at::show_config()), which holds the words "code=sm_80" or
/// "code=compute_120" for each; targets of one chip alone ("sm_90a") are left out. Empty where nothing is said.
std::vector<GpuTarget> gpuTargets(const std::string& libtorchConfiguration);

/// Why a libtorch with code for `targets` cannot use a GPU, and what to do; empty where it can, and where `targets` is.
/// Code for X.y runs on X.z with z ≥ y (CUDA's binary compatibility).
std::string whyUnserved(const std::string& device, const std::string& description,
                        ComputeCapability capability, const std::vector<GpuTarget>& targets,
                        const std::string& libtorchVersion);

}  // namespace seprog
