// Keys and values of the positions decoded so far, by head. R live rows, H heads, T positions, C channels per
// head.
#pragma once

#include <ATen/core/Tensor.h>

namespace seprog {

class KvCache {
 public:
  void append(const at::Tensor& k_RHTC, const at::Tensor& v_RHTC);
  int64_t length() const { return length_; }
  at::Tensor keys() const { return k_.narrow(2, 0, length_); }
  at::Tensor values() const { return v_.narrow(2, 0, length_); }
  /// Keeps only these rows.
  void keep(const at::Tensor& rows_R);

 private:
  void reserve(const at::Tensor& like, int64_t length);

  at::Tensor k_;
  at::Tensor v_;
  int64_t length_ = 0;
};

}  // namespace seprog
