#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "../../cuda/module.h"
#include "../../error.h"
#include "../kernel_sources.h"
#include "../kernels.h"
#include "../row_loops.h"
#include "masked_nll.h"

namespace seprog {
namespace {

constexpr unsigned kThreads = 512;

void scoreCpu(const at::Tensor& logits_NV, const at::Tensor& labels_N, const at::Tensor& weight_N,
              const RowScores& out) {
  const int64_t V = logits_NV.size(1);
  auto* logits = logits_NV.data_ptr<float>();
  const auto* labels = labels_N.const_data_ptr<int64_t>();
  const float* weight = weight_N.defined() ? weight_N.const_data_ptr<float>() : nullptr;
  auto* logProb = out.logProb_N.data_ptr<float>();
  auto* argmax = out.argmax_N.data_ptr<int64_t>();
  for (int64_t n = 0; n < logits_NV.size(0); ++n) {
    if (labels[n] >= 0 && labels[n] < V) continue;
    fail(ErrorCode::DataInvalid, "expected a label of 0 to " + std::to_string(V - 1) + " for `labels[" +
                                     std::to_string(n) + "]` but received " + std::to_string(labels[n]));
  }
  at::parallel_for(0, logits_NV.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      float* row = logits + n * V;
      const float atLabel = row[labels[n]];
      const auto [top, place] = largestOf(row, V);
      argmax[n] = place;
      const float sum = exponentiate(row, V, top);
      logProb[n] = atLabel - top - std::log(sum);
      if (weight == nullptr) continue;
      multiply(row, V, weight[n] / sum);
      row[labels[n]] -= weight[n];
    }
  });
}

void scoreCuda(const at::Tensor& logits_NV, const at::Tensor& labels_N, const at::Tensor& weight_N,
               const RowScores& out) {
  cuda::Module& module = *cuda::Module::of(kMaskedNllKernels, logits_NV.device());
  module.launch(kernelFor("score", logits_NV).c_str(), logits_NV.size(0), kThreads, logits_NV.data_ptr(),
                static_cast<int>(logits_NV.size(1)), labels_N.data_ptr(),
                weight_N.defined() ? weight_N.data_ptr() : nullptr, out.logProb_N.data_ptr(),
                out.argmax_N.data_ptr());
}

}  // namespace

void maskedNll(const at::Tensor& logits_NV, const at::Tensor& labels_N, const at::Tensor& weight_N,
               const RowScores& out) {
  at::NoGradGuard noGrad;
  const bool isRow =
      logits_NV.is_contiguous() && labels_N.is_contiguous() && out.logProb_N.is_contiguous() &&
      out.argmax_N.is_contiguous() && out.logProb_N.scalar_type() == at::kFloat &&
      (!weight_N.defined() || (weight_N.is_contiguous() && weight_N.scalar_type() == at::kFloat));
  switch (isRow ? pathOf(logits_NV, kMaskedNllKernels) : Path::Reference) {
    case Path::Reference:
      return maskedNllReference(logits_NV, labels_N, weight_N, out);
    case Path::Cpu:
      return scoreCpu(logits_NV, labels_N, weight_N, out);
    case Path::Cuda:
      return scoreCuda(logits_NV, labels_N, weight_N, out);
    case Path::Planned:
      return;
  }
}

}  // namespace seprog
