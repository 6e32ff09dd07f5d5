#include "kernels.h"

#include <atomic>
#include <cstdlib>

#include "../cuda/module.h"
#include "../cuda/nvrtc.h"
#include "../error.h"
#include "../plan/planned_device.h"

namespace seprog {
namespace {

Kernels wanted() {
  const char* wish = std::getenv("SEPROG_KERNELS");
  const std::string word = wish == nullptr ? "" : wish;
  if (word.empty() || word == "fused") return Kernels::Fused;
  if (word == "reference") return Kernels::Reference;
  fail(ErrorCode::ConfigInvalid,
       "expected \"fused\" or \"reference\" for `SEPROG_KERNELS` but received \"" + word + "\"");
}

std::atomic<Kernels>& policy() {
  static std::atomic<Kernels> policy = wanted();
  return policy;
}

bool isGpuDtype(at::ScalarType dtype) {
  return dtype == at::kFloat || dtype == at::kHalf || dtype == at::kBFloat16;
}

}  // namespace

const char* kernelsName(Kernels kernels) { return kernels == Kernels::Fused ? "fused" : "reference"; }

Kernels kernels() { return policy(); }

std::string gpuCompiler() {
  const cuda::Nvrtc& nvrtc = cuda::Nvrtc::get();
  return nvrtc.problem().empty() ? "NVRTC " + nvrtc.version() : nvrtc.problem();
}

void useKernels(Kernels kernels) { policy() = kernels; }

Path pathOf(const at::Tensor& x, const cuda::KernelSource& source) {
  if (kernels() == Kernels::Reference) return Path::Reference;
  const at::ScalarType dtype = x.scalar_type();
  if (takesCpuKernels(x.device())) {
    if (dtype != at::kFloat) return Path::Reference;
    return holdsData(x) ? Path::Cpu : Path::Planned;
  }
  if (!isGpuDtype(dtype)) return Path::Reference;
  if (!holdsData(x)) return Path::Planned;
  return x.is_cuda() && cuda::Module::of(source, x.device()) != nullptr ? Path::Cuda : Path::Reference;
}

std::string kernelFor(const char* family, const at::Tensor& x) {
  const char* dtype = x.scalar_type() == at::kHalf ? "_f16" : "_bf16";
  return std::string(family) + (x.scalar_type() == at::kFloat ? "_f32" : dtype);
}

}  // namespace seprog
