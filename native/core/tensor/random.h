// A seeded generator of our own: the same seed gives the same tensors on every machine, device and thread
// count.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

namespace seprog {

class Random {
 public:
  /// A stream of its own per (seed, name): adding one tensor to a model does not change the others.
  explicit Random(uint64_t seed, std::string_view name = {});

  uint64_t next();
  /// In [0, 1), 53 bits.
  double uniform();
  /// Standard normal (polar method).
  double normal();

  at::Tensor uniformTensor(at::IntArrayRef shape, double low, double high);
  at::Tensor normalTensor(at::IntArrayRef shape, double mean, double deviation);

 private:
  uint64_t state_;
  double spare_ = 0;
  bool hasSpare_ = false;
};

}  // namespace seprog
