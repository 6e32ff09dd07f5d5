// The device whose results are compared with the CPU's: SEPROG_TEST_DEVICE, else "cuda:0". With "cpu" the CPU is compared
// with itself: what the tests ask is then tried out, and nothing is shown of a GPU.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "core/engine/devices.h"

namespace seprog::gpu {

inline std::string deviceName() {
  const char* name = std::getenv("SEPROG_TEST_DEVICE");
  return name == nullptr ? "cuda:0" : name;
}

inline const c10::Device& device() {
  static const c10::Device parsed = parseDevice(deviceName());
  return parsed;
}

inline at::Tensor there(const at::Tensor& tensor) { return tensor.to(device()); }

/// |got − wanted| ≤ tolerance · (1 + the largest |wanted|), element by element; `got` may stand anywhere.
inline void expectNear(const at::Tensor& got, const at::Tensor& wanted, double tolerance,
                       const std::string& what) {
  ASSERT_EQ(got.sizes(), wanted.sizes()) << what;
  if (wanted.numel() == 0) return;
  const at::Tensor exact = wanted.to(at::kCPU, at::kDouble);
  const double apart = (got.to(at::kCPU, at::kDouble) - exact).abs().max().item<double>();
  EXPECT_LE(apart, tolerance * (1 + exact.abs().max().item<double>())) << what;
}

}  // namespace seprog::gpu
