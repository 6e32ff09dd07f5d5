#include "relative_bias.h"

#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>

#include <algorithm>
#include <cmath>

namespace seprog {

int64_t relativeBucket(const RelativeBuckets& setting, int64_t r) {
  int64_t buckets = setting.buckets;
  int64_t offset = 0;
  if (setting.bidirectional) {
    buckets /= 2;
    if (r > 0) offset = buckets;
    r = std::abs(r);
  } else {
    r = std::max<int64_t>(-r, 0);
  }
  const int64_t exact = buckets / 2;
  if (r < exact) return offset + r;
  const auto near = static_cast<float>(exact);
  // In fp32, as the published weights were trained: fp64 moves the borders of some buckets.
  const float position =
      std::log(static_cast<float>(r) / near) /
      static_cast<float>(std::log(static_cast<double>(setting.maxDistance) / static_cast<double>(exact))) *
      static_cast<float>(buckets - exact);
  return offset + std::min(buckets - 1, exact + static_cast<int64_t>(position));
}

at::Tensor relativeBias(const RelativeBuckets& setting, const at::Tensor& table_RH, int64_t firstQuery,
                        int64_t queries, int64_t keys) {
  at::Tensor bucket_QK = at::empty({queries, keys}, at::kLong);
  int64_t* bucket = bucket_QK.mutable_data_ptr<int64_t>();
  for (int64_t q = 0; q < queries; ++q) {
    for (int64_t k = 0; k < keys; ++k) *bucket++ = relativeBucket(setting, k - (firstQuery + q));
  }
  const at::Tensor bias_QKH = at::embedding(table_RH, bucket_QK.to(table_RH.device()));
  return bias_QKH.permute({2, 0, 1}).unsqueeze(0).contiguous();
}

}  // namespace seprog
