#include "kernels.h"

#include <atomic>
#include <cstdlib>

#include "../cuda/nvrtc.h"
#include "../error.h"

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

}  // namespace

const char* kernelsName(Kernels kernels) { return kernels == Kernels::Fused ? "fused" : "reference"; }

Kernels kernels() { return policy(); }

std::string gpuCompiler() {
  const cuda::Nvrtc& nvrtc = cuda::Nvrtc::get();
  return nvrtc.problem().empty() ? "NVRTC " + nvrtc.version() : nvrtc.problem();
}

void useKernels(Kernels kernels) { policy() = kernels; }

}  // namespace seprog
