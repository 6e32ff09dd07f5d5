#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "../../tensor/exponential.h"
#include "../../tensor/vectorise.h"
#include "../row_loops.h"
#include "block_step.h"

namespace seprog::cross_attention {
namespace {

constexpr int64_t kGrainElements = 1 << 14;

int64_t grainOf(int64_t columns) {
  return std::max<int64_t>(1, kGrainElements / std::max<int64_t>(1, columns));
}

SEPROG_VECTORISED void backRow(float* s, float* dp, int64_t count, float logSum, float dot) {
  for (int64_t i = 0; i < count; ++i) {
    s[i] = exponential(s[i] - logSum);
    dp[i] = s[i] * (dp[i] - dot);
  }
}

}  // namespace

void advanceCpu(const at::Tensor& s_GC, int64_t first, const Running& running) {
  const int64_t C = s_GC.size(1);
  const int64_t H = running.acc_GH.size(1);
  auto* s = s_GC.data_ptr<float>();
  auto* max = running.max_G.data_ptr<float>();
  auto* sum = running.sum_G.data_ptr<float>();
  auto* acc = running.acc_GH.data_ptr<float>();
  int64_t* argmax = running.argmax_G.defined() ? running.argmax_G.data_ptr<int64_t>() : nullptr;
  at::parallel_for(0, s_GC.size(0), grainOf(C), [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      float* row = s + g * C;
      const auto [top, place] = largestOf(row, C);
      if (top > max[g]) {
        if (argmax != nullptr) argmax[g] = first + place;
        const float factor = std::exp(max[g] - top);
        max[g] = top;
        sum[g] *= factor;
        multiply(acc + g * H, H, factor);
      }
      sum[g] += exponentiate(row, C, max[g]);
    }
  });
}

void backCpu(const at::Tensor& s_GC, const at::Tensor& dp_GC, const at::Tensor& logSum_G,
             const at::Tensor& dot_G) {
  const int64_t C = s_GC.size(1);
  auto* s = s_GC.data_ptr<float>();
  auto* dp = dp_GC.data_ptr<float>();
  const auto* logSum = logSum_G.const_data_ptr<float>();
  const auto* dot = dot_G.const_data_ptr<float>();
  at::parallel_for(0, s_GC.size(0), grainOf(C), [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) backRow(s + g * C, dp + g * C, C, logSum[g], dot[g]);
  });
}

}  // namespace seprog::cross_attention
