#include <ATen/ops/empty.h>

#include "../../cuda/module.h"
#include "../kernel_sources.h"
#include "../kernels.h"
#include "fused.h"

namespace seprog::prefix_attention {
namespace {

constexpr unsigned kThreads = 128;
constexpr int64_t kWarps = kThreads / 32;  // a row and head each

}  // namespace

at::Tensor attendCuda(const at::Tensor& q_RD, const at::Tensor& k_ND, const at::Tensor& v_ND,
                      const Spans& spans, const Shape& shape, const at::Tensor& bias_HT) {
  const at::Tensor out_RD = at::empty(q_RD.sizes(), q_RD.options());
  const int64_t pairs = q_RD.size(0) * shape.heads;
  cuda::Module& module = *cuda::Module::of(kPrefixAttentionKernels, q_RD.device());
  module.launch(kernelFor("attend", q_RD).c_str(), (pairs + kWarps - 1) / kWarps, kThreads, q_RD.data_ptr(),
                static_cast<long long>(q_RD.stride(0)), k_ND.data_ptr(), v_ND.data_ptr(),
                spans.first_R.data_ptr(), spans.count_R.data_ptr(), static_cast<int>(q_RD.size(0)),
                static_cast<int>(shape.heads), static_cast<int>(shape.width), shape.scale,
                bias_HT.defined() ? bias_HT.data_ptr() : nullptr,
                static_cast<long long>(bias_HT.defined() ? bias_HT.stride(0) : 0), out_RD.data_ptr());
  return out_RD;
}

}  // namespace seprog::prefix_attention
