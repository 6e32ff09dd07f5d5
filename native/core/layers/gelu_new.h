// gelu_new(x) = x·σ(2u), u = √(2/π)·(x + 0.044715·x³), for loops that are to vectorise: the tanh of its usual form is a
// logistic function.
#pragma once

#include "../tensor/exponential.h"

namespace seprog::gelu_new {

inline constexpr float kTwoRoot = 1.5957691216057308f;
inline constexpr float kCubic = 0.044715f;

/// s = σ(2u), the factor of x.
inline float gate(float x) { return 1.0f / (1.0f + exponential(-kTwoRoot * (x + kCubic * x * x * x))); }

/// The derivative of x·s.
inline float slope(float x, float s) {
  return s + x * s * (1.0f - s) * kTwoRoot * (1.0f + 3.0f * kCubic * x * x);
}

}  // namespace seprog::gelu_new
