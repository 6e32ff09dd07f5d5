#include "fused.h"

#include <ATen/Parallel.h>

#include <array>
#include <cmath>

#include "../../cuda/module.h"
#include "../../tensor/exponential.h"
#include "../../tensor/vectorise.h"
#include "../kernel_sources.h"
#include "../row_loops.h"

namespace seprog::masked_kl {
namespace {

constexpr unsigned kThreads = 512;
constexpr int64_t kLanes = 32;
// Up to here Taylor's series to the fourth degree behind d² is as good as float.
constexpr float kNear = 0.25f;

/// ln Σ e^x.
float logSumOf(const float* x, int64_t count) {
  const float top = largestOf(x, count).value;
  return top + std::log(sumOfExponentials(x, count, top));
}

/// One entry of a row: its share of the divergence, with q − p added to it, and q − p. The sum of q − p is 0; added entry
/// by entry it leaves p (d + e^−d − 1) with d = ln p − ln q, of second order where two models agree, and with it goes
/// the rounding of first order.
struct Term {
  float share, apart;
};
inline Term termOf(float p, float q, float logSumP, float logSumQ) {
  const float logP = p - logSumP, logQ = q - logSumQ;
  const float d = logP - logQ;
  const float P = exponential(logP);
  const float apart = exponential(logQ) - P;
  const float curve = d * d * (0.5f - d * (1.0f / 6 - d * (1.0f / 24 - d * (1.0f / 120 - d * (1.0f / 720)))));
  const bool isNear = d > -kNear && d < kNear;
  return {isNear ? P * curve : P * d + apart, isNear ? P * (curve - d) : apart};
}

SEPROG_VECTORISED float divergence(const float* p, const float* q, int64_t count, float logSumP,
                                   float logSumQ) {
  std::array<float, kLanes> lane{};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) lane[l] += termOf(p[i + l], q[i + l], logSumP, logSumQ).share;
  }
  for (; i < count; ++i) lane[0] += termOf(p[i], q[i], logSumP, logSumQ).share;
  float sum = 0;
  for (const float part : lane) sum += part;
  return sum;
}

/// The same; q becomes weight (q − p).
SEPROG_VECTORISED float divergenceAndSlope(const float* p, float* q, int64_t count, float logSumP,
                                           float logSumQ, float weight) {
  std::array<float, kLanes> lane{};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) {
      const Term term = termOf(p[i + l], q[i + l], logSumP, logSumQ);
      lane[l] += term.share;
      q[i + l] = weight * term.apart;
    }
  }
  for (; i < count; ++i) {
    const Term term = termOf(p[i], q[i], logSumP, logSumQ);
    lane[0] += term.share;
    q[i] = weight * term.apart;
  }
  float sum = 0;
  for (const float part : lane) sum += part;
  return sum;
}

void runCpu(const at::Tensor& p_NV, const at::Tensor& q_NV, const at::Tensor& weight_N,
            const at::Tensor& kl_N) {
  const int64_t V = p_NV.size(1);
  const auto* p = p_NV.const_data_ptr<float>();
  auto* q = q_NV.data_ptr<float>();
  const float* weight = weight_N.defined() ? weight_N.const_data_ptr<float>() : nullptr;
  auto* kl = kl_N.data_ptr<float>();
  at::parallel_for(0, p_NV.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const float* pRow = p + n * V;
      float* qRow = q + n * V;
      const float logSumP = logSumOf(pRow, V), logSumQ = logSumOf(qRow, V);
      kl[n] = weight == nullptr ? divergence(pRow, qRow, V, logSumP, logSumQ)
                                : divergenceAndSlope(pRow, qRow, V, logSumP, logSumQ, weight[n]);
    }
  });
}

void runCuda(const at::Tensor& p_NV, const at::Tensor& q_NV, const at::Tensor& weight_N,
             const at::Tensor& kl_N) {
  cuda::Module& module = *cuda::Module::of(kMaskedKlKernels, q_NV.device());
  module.launch(kernelFor("divergence", q_NV).c_str(), q_NV.size(0), kThreads, p_NV.data_ptr(),
                q_NV.data_ptr(), static_cast<int>(q_NV.size(1)),
                weight_N.defined() ? weight_N.data_ptr() : nullptr, kl_N.data_ptr());
}

}  // namespace

Path pathOf(const at::Tensor& p_NV, const at::Tensor& q_NV) {
  const bool isUniform = p_NV.scalar_type() == q_NV.scalar_type() && p_NV.device() == q_NV.device();
  return isUniform ? seprog::pathOf(q_NV, kMaskedKlKernels) : Path::Reference;
}

void run(Path path, const at::Tensor& p_NV, const at::Tensor& q_NV, const at::Tensor& weight_N,
         const at::Tensor& kl_N) {
  if (path == Path::Cpu) runCpu(p_NV, q_NV, weight_N, kl_N);
  if (path == Path::Cuda) runCuda(p_NV, q_NV, weight_N, kl_N);
}

}  // namespace seprog::masked_kl
