// e^x for loops that are to vectorise.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace seprog {

/// e^x within 2 ulp, branch-free (Cody and Waite's reduction, Taylor to degree 6).
inline float exponential(float x) {
  x = std::min(std::max(x, -87.0f), 88.0f);
  constexpr float kRound = 12582912.0f;  // 1.5 · 2^23: adding and taking it away rounds to an integer
  const float n = (x * 1.44269504f + kRound) - kRound;
  const float r = (x - n * 0.693145752f) - n * 1.42860677e-6f;
  float p = 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return p * std::bit_cast<float>((static_cast<int32_t>(n) + 127) << 23);
}

}  // namespace seprog
