#include "row_loops.h"

#include <algorithm>
#include <array>
#include <limits>

#include "../tensor/exponential.h"
#include "../tensor/vectorise.h"

namespace seprog {
namespace {

constexpr int64_t kLanes = 32;
// Only the stretch that holds the largest number is searched for its place, which no vector loop does.
constexpr int64_t kStretch = 1024;

SEPROG_VECTORISED float largestValue(const float* x, int64_t count) {
  std::array<float, kLanes> lane;
  lane.fill(-std::numeric_limits<float>::infinity());
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) lane[l] = x[i + l] > lane[l] ? x[i + l] : lane[l];
  }
  for (; i < count; ++i) lane[0] = x[i] > lane[0] ? x[i] : lane[0];
  return *std::max_element(lane.begin(), lane.end());
}

}  // namespace

Largest largestOf(const float* x, int64_t count) {
  Largest largest = {-std::numeric_limits<float>::infinity(), 0};
  for (int64_t first = 0; first < count; first += kStretch) {
    const float value = largestValue(x + first, std::min(kStretch, count - first));
    if (value > largest.value) largest = {value, first};
  }
  const float* from = x + largest.place;
  const float* to = x + std::min(count, largest.place + kStretch);
  const float* found = std::find(from, to, largest.value);
  if (found != to) largest.place = found - x;
  return largest;
}

SEPROG_VECTORISED float sumOfExponentials(const float* x, int64_t count, float shift) {
  std::array<float, kLanes> lane{};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) lane[l] += exponential(x[i + l] - shift);
  }
  for (; i < count; ++i) lane[0] += exponential(x[i] - shift);
  float sum = 0;
  for (const float part : lane) sum += part;
  return sum;
}

SEPROG_VECTORISED float exponentiate(float* x, int64_t count, float shift) {
  std::array<float, kLanes> lane{};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) {
      x[i + l] = exponential(x[i + l] - shift);
      lane[l] += x[i + l];
    }
  }
  for (; i < count; ++i) {
    x[i] = exponential(x[i] - shift);
    lane[0] += x[i];
  }
  float sum = 0;
  for (const float part : lane) sum += part;
  return sum;
}

SEPROG_VECTORISED void multiply(float* x, int64_t count, float factor) {
  for (int64_t i = 0; i < count; ++i) x[i] *= factor;
}

}  // namespace seprog
