// Block sizes of the counting allocator: multiples of 64 bytes up to 512, then eight steps per doubling, so
// that rounding wastes at most an eighth of what was asked for (64 bytes where that is more).
#pragma once

#include <bit>
#include <cstddef>

namespace seprog {

constexpr size_t kBlockAlignment = 64;
constexpr size_t kLinearLimit = 512;
constexpr size_t kStepsPerDoubling = 8;

struct SizeClass {
  size_t index;
  size_t bytes;  // rounded
};

/// bytes > 0.
constexpr SizeClass sizeClassOf(size_t bytes) {
  if (bytes <= kLinearLimit) {
    const size_t steps = (bytes + kBlockAlignment - 1) / kBlockAlignment;
    return {steps - 1, steps * kBlockAlignment};
  }
  const size_t floorBytes = std::bit_floor(bytes - 1);
  const size_t step = floorBytes / kStepsPerDoubling;
  const size_t steps = (bytes - floorBytes + step - 1) / step;
  const size_t doublings = static_cast<size_t>(std::countr_zero(floorBytes) - std::countr_zero(kLinearLimit));
  return {kLinearLimit / kBlockAlignment + doublings * kStepsPerDoubling + steps - 1,
          floorBytes + steps * step};
}

/// One past the index of the largest block a 48-bit address space could hold.
constexpr size_t kSizeClasses = sizeClassOf(size_t{1} << 47).index + 1;

}  // namespace seprog
