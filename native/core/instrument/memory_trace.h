// Allocated bytes over time in a bounded number of points. Not thread-safe: while an allocator writes to a trace, it is
// the allocator's lock that guards it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace seprog {

/// Allocated bytes at a moment, from the start of the trace.
struct MemorySample {
  int64_t ns;
  int64_t allocatedBytes;
};

/// Keeps the lowest and the highest value of each slice of time. When there are too many slices they are merged two by
/// two: detail goes, but never a peak.
class MemoryTrace {
 public:
  static constexpr size_t kMaxSamples = 2000;

  explicit MemoryTrace(std::chrono::steady_clock::time_point startedAt) : startedAt_(startedAt) {}

  void add(int64_t allocatedBytes) {
    addAt(std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - startedAt_)
              .count(),
          allocatedBytes);
  }
  /// `ns` never goes back.
  void addAt(int64_t ns, int64_t allocatedBytes);
  /// In order of time.
  std::vector<MemorySample> samples() const;

 private:
  struct Slice {
    int64_t number;  // ns / sliceNs_
    MemorySample lowest;
    MemorySample highest;
  };
  void mergeTwoByTwo();

  std::chrono::steady_clock::time_point startedAt_;
  int64_t sliceNs_ = 1000;
  std::vector<Slice> slices_;
};

}  // namespace seprog
