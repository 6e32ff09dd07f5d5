// 8-bit codes of rows, each with a scale of its own: row ≈ scale · code. K rows of width H.
#pragma once

#include <ATen/core/Tensor.h>

namespace seprog {

struct Int8Rows {
  at::Tensor codes_KH;  // int8, −127 … 127
  at::Tensor scale_K;   // float: the row's largest magnitude / 127
};

/// float rows [K, H]. A row of zeros has the scale 0.
Int8Rows quantiseRows(const at::Tensor& rows_KH);

}  // namespace seprog
