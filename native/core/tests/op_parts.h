// What the tests of the ops share.
#pragma once

#include <ATen/ATen.h>

#include <ostream>
#include <string>
#include <vector>

#include "core/ops/kernels.h"
#include "core/tensor/random.h"

namespace seprog {

/// One policy for a scope.
class With {
 public:
  explicit With(Kernels wanted) : before_(kernels()) { useKernels(wanted); }
  ~With() { useKernels(before_); }
  With(const With&) = delete;
  With& operator=(const With&) = delete;

 private:
  Kernels before_;
};

inline at::Tensor normals(at::IntArrayRef shape, const char* name, double scale = 1) {
  return Random(7, name).normalTensor(shape, 0, scale);
}

inline double distance(const at::Tensor& a, const at::Tensor& b) {
  if (a.numel() == 0) return 0;
  return a.to(at::kCPU, at::kDouble).sub(b.to(at::kCPU, at::kDouble)).abs().max().item<double>();
}

/// A device, a dtype, and how far an op may be from the formula in double at the inputs rounded to that dtype.
struct Precision {
  at::Device device;
  at::ScalarType dtype;
  double tolerance;
};

inline void PrintTo(const Precision& precision, std::ostream* out) {
  *out << precision.device.str() << " " << at::toString(precision.dtype);
}

/// The same tolerances on every device there is: the CPU, and the first GPU of a libtorch that has one. What is not fused
/// there runs the reference.
inline std::vector<Precision> onEveryDevice(
    const std::vector<std::pair<at::ScalarType, double>>& tolerances) {
  std::vector<at::Device> devices{at::kCPU};
  if (at::hasCUDA()) devices.emplace_back(at::kCUDA, 0);
  std::vector<Precision> precisions;
  for (const at::Device& device : devices) {
    for (const auto& [dtype, tolerance] : tolerances) precisions.push_back({device, dtype, tolerance});
  }
  return precisions;
}

}  // namespace seprog
