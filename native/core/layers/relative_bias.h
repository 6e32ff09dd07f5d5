// T5's relative position bias (models.md section 4). H heads, Q query positions, K key positions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace seprog {

struct RelativeBuckets {
  int64_t buckets = 32;
  int64_t maxDistance = 128;
  bool bidirectional = true;
};

/// Bucket of r = key position − query position.
int64_t relativeBucket(const RelativeBuckets& setting, int64_t r);

/// Bias of queries at positions firstQuery … firstQuery+queries−1 over keys 0 … keys−1: [1, H, Q, K].
/// table_RH is the [buckets, H] weight; gradients reach it.
at::Tensor relativeBias(const RelativeBuckets& setting, const at::Tensor& table_RH, int64_t firstQuery,
                        int64_t queries, int64_t keys);

}  // namespace seprog
