// Loops over one row of floats that the fused CPU kernels share. Sums run in fixed lanes, so that vector registers carry
// them and a result does not depend on the machine's vector width.
#pragma once

#include <cstdint>

namespace seprog {

struct Largest {
  float value;
  int64_t place;  // of the first of equal ones
};
/// NaNs are passed over; a row without anything else gives −∞ at 0.
Largest largestOf(const float* x, int64_t count);
/// Σ e^(x − shift).
float sumOfExponentials(const float* x, int64_t count, float shift);
/// x becomes e^(x − shift); their sum.
float exponentiate(float* x, int64_t count, float shift);
void multiply(float* x, int64_t count, float factor);

}  // namespace seprog
