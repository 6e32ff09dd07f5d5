#include "fused.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <vector>

#include "../../instrument/flops.h"
#include "../../tensor/exponential.h"
#include "../../tensor/vectorise.h"
#include "../kernel_sources.h"
#include "../kernels.h"

namespace seprog {
namespace {

using prefix_attention::Shape;

// Partial sums of a product: a fixed order of summation, whatever the width of the vector unit.
constexpr int64_t kLanes = 16;
constexpr int64_t kGrainElements = 1 << 15;

/// One row: its query and result are D numbers, keys and values stand at `count` positions, `score` holds H · count.
SEPROG_VECTORISED void attendRow(const Shape& shape, const float* q, const float* k, const float* v,
                                 const float* bias, int64_t biasStride, int64_t count, float* score,
                                 float* out) {
  const int64_t H = shape.heads, C = shape.width, D = H * C;
  for (int64_t d = 0; d < D; ++d) out[d] = 0;
  if (count == 0) return;
  for (int64_t t = 0; t < count; ++t) {
    for (int64_t h = 0; h < H; ++h) {
      const float* a = q + h * C;
      const float* b = k + t * D + h * C;
      float lanes[kLanes] = {};
      int64_t c = 0;
      for (; c + kLanes <= C; c += kLanes) {
        for (int64_t j = 0; j < kLanes; ++j) lanes[j] += a[c + j] * b[c + j];
      }
      for (int64_t j = 0; c < C; ++c, ++j) lanes[j] += a[c] * b[c];
      for (int64_t half = kLanes / 2; half > 0; half /= 2) {
        for (int64_t j = 0; j < half; ++j) lanes[j] += lanes[j + half];
      }
      score[h * count + t] = lanes[0] * shape.scale + (bias == nullptr ? 0.0f : bias[h * biasStride + t]);
    }
  }
  for (int64_t h = 0; h < H; ++h) {
    float* p = score + h * count;
    float top = p[0];
    for (int64_t t = 1; t < count; ++t) top = std::max(top, p[t]);
    for (int64_t t = 0; t < count; ++t) p[t] = exponential(p[t] - top);
    float sum = 0;
    for (int64_t t = 0; t < count; ++t) sum += p[t];
    for (int64_t t = 0; t < count; ++t) p[t] /= sum;
  }
  for (int64_t t = 0; t < count; ++t) {
    for (int64_t h = 0; h < H; ++h) {
      const float p = score[h * count + t];
      const float* b = v + t * D + h * C;
      float* o = out + h * C;
      for (int64_t c = 0; c < C; ++c) o[c] += p * b[c];
    }
  }
}

at::Tensor onCpu(const at::Tensor& q_RD, const at::Tensor& k_ND, const at::Tensor& v_ND, const Spans& spans,
                 const Shape& shape, const at::Tensor& bias_HT) {
  const at::Tensor out_RD = at::empty(q_RD.sizes(), q_RD.options());
  const int64_t D = q_RD.size(1);
  const int64_t qStride = q_RD.stride(0);  // wider where queries stand beside keys and values
  const float* q = q_RD.const_data_ptr<float>();
  const float* k = k_ND.const_data_ptr<float>();
  const float* v = v_ND.const_data_ptr<float>();
  const float* bias = bias_HT.defined() ? bias_HT.const_data_ptr<float>() : nullptr;
  const int64_t biasStride = bias_HT.defined() ? bias_HT.stride(0) : 0;
  const int64_t* first = spans.first_R.const_data_ptr<int64_t>();
  const int64_t* count = spans.count_R.const_data_ptr<int64_t>();
  float* out = out_RD.mutable_data_ptr<float>();
  const int64_t grain = std::max<int64_t>(1, kGrainElements / std::max<int64_t>(1, spans.longest * D));
  at::parallel_for(0, q_RD.size(0), grain, [&](int64_t begin, int64_t end) {
    std::vector<float> score(shape.heads * spans.longest);
    for (int64_t r = begin; r < end; ++r) {
      attendRow(shape, q + r * qStride, k + first[r] * D, v + first[r] * D, bias, biasStride, count[r],
                score.data(), out + r * D);
    }
  });
  return out_RD;
}

Path pathFor(const at::Tensor& q_RD, const at::Tensor& k_ND, const at::Tensor& v_ND, int64_t width,
             const at::Tensor& bias_HT) {
  const auto isRow = [&](const at::Tensor& tensor) {
    return tensor.scalar_type() == q_RD.scalar_type() && tensor.stride(1) == 1;
  };
  const bool fusable = isRow(q_RD) && isRow(k_ND) && k_ND.is_contiguous() && isRow(v_ND) &&
                       v_ND.is_contiguous() && (!bias_HT.defined() || isRow(bias_HT));
  if (!fusable) return Path::Reference;
  const Path path = pathOf(q_RD, kPrefixAttentionKernels);
  return path == Path::Cuda && width > prefix_attention::kMostCudaChannels ? Path::Reference : path;
}

}  // namespace

Spans Spans::packed(const std::vector<int64_t>& lengths, const at::Device& device) {
  std::vector<int64_t> first;
  int64_t next = 0;
  for (const int64_t length : lengths) {
    first.push_back(next);
    next += length;
  }
  return {at::tensor(first, at::kLong).to(device), at::tensor(lengths, at::kLong).to(device),
          lengths.empty() ? 0 : *std::max_element(lengths.begin(), lengths.end())};
}

Spans Spans::select(const at::Tensor& rows_S) const {
  return {first_R.index_select(0, rows_S), count_R.index_select(0, rows_S), longest};
}

at::Tensor prefixAttention(const at::Tensor& q_RD, const at::Tensor& k_ND, const at::Tensor& v_ND,
                           const Spans& spans, int64_t heads, double scale, const at::Tensor& bias_HT) {
  const at::NoGradGuard noGrad;
  countOwnProducts(4 * q_RD.numel() * spans.longest);
  const Shape shape{heads, q_RD.size(1) / heads, static_cast<float>(scale)};
  switch (pathFor(q_RD, k_ND, v_ND, shape.width, bias_HT)) {
    case Path::Cpu:
      return onCpu(q_RD, k_ND, v_ND, spans, shape, bias_HT);
    case Path::Cuda:
      return prefix_attention::attendCuda(q_RD, k_ND, v_ND, spans, shape, bias_HT);
    case Path::Planned:
      return at::empty(q_RD.sizes(), q_RD.options());
    case Path::Reference:
      break;
  }
  return prefixAttentionReference(q_RD, k_ND, v_ND, spans, heads, scale, bias_HT);
}

}  // namespace seprog
