// Rows shared out among threads.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/TensorBase.h>

#include <algorithm>

namespace seprog {

/// row(offset, width) of each row of [N, F]. Row by row: an element takes the same path through the loops whichever rows
/// stand around it.
template <typename Row>
void eachRow(const at::TensorBase& like_NF, Row&& row) {
  constexpr int64_t kGrainElements = 1 << 14;
  const int64_t width = like_NF.size(1);
  at::parallel_for(0, like_NF.size(0), std::max<int64_t>(1, kGrainElements / width),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t n = begin; n < end; ++n) row(n * width, width);
                   });
}

}  // namespace seprog
