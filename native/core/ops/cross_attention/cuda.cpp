#include "../../cuda/module.h"
#include "../kernel_sources.h"
#include "../kernels.h"
#include "block_step.h"

namespace seprog::cross_attention {
namespace {

constexpr unsigned kThreads = 256;

cuda::Module& moduleOf(const at::Tensor& s_GC) {
  return *cuda::Module::of(kCrossAttentionKernels, s_GC.device());
}

}  // namespace

void advanceCuda(const at::Tensor& s_GC, int64_t first, const Running& running) {
  moduleOf(s_GC).launch(kernelFor("advance", s_GC).c_str(), s_GC.size(0), kThreads, s_GC.data_ptr(),
                        static_cast<int>(s_GC.size(1)), static_cast<long long>(first),
                        running.max_G.data_ptr(), running.sum_G.data_ptr(), running.acc_GH.data_ptr(),
                        static_cast<int>(running.acc_GH.size(1)),
                        running.argmax_G.defined() ? running.argmax_G.data_ptr() : nullptr);
}

void backCuda(const at::Tensor& s_GC, const at::Tensor& dp_GC, const at::Tensor& logSum_G,
              const at::Tensor& dot_G) {
  moduleOf(s_GC).launch(kernelFor("back", s_GC).c_str(), s_GC.size(0), kThreads, s_GC.data_ptr(),
                        dp_GC.data_ptr(), static_cast<int>(s_GC.size(1)), logSum_G.data_ptr(),
                        dot_G.data_ptr());
}

}  // namespace seprog::cross_attention
