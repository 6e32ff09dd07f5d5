#include "memory_trace.h"

namespace seprog {

void MemoryTrace::addAt(int64_t ns, int64_t allocatedBytes) {
  const MemorySample sample{ns, allocatedBytes};
  while (slices_.empty() || slices_.back().number != ns / sliceNs_) {
    if (2 * slices_.size() < kMaxSamples) {
      slices_.push_back({ns / sliceNs_, sample, sample});
      return;
    }
    mergeTwoByTwo();
  }
  Slice& slice = slices_.back();
  if (allocatedBytes < slice.lowest.allocatedBytes) slice.lowest = sample;
  if (allocatedBytes > slice.highest.allocatedBytes) slice.highest = sample;
}

void MemoryTrace::mergeTwoByTwo() {
  sliceNs_ *= 2;
  size_t kept = 0;
  for (const Slice& slice : slices_) {
    const int64_t number = slice.number / 2;
    if (kept == 0 || slices_[kept - 1].number != number) {
      slices_[kept++] = {number, slice.lowest, slice.highest};
      continue;
    }
    Slice& into = slices_[kept - 1];
    if (slice.lowest.allocatedBytes < into.lowest.allocatedBytes) into.lowest = slice.lowest;
    if (slice.highest.allocatedBytes > into.highest.allocatedBytes) into.highest = slice.highest;
  }
  slices_.resize(kept);
}

std::vector<MemorySample> MemoryTrace::samples() const {
  std::vector<MemorySample> samples;
  for (const Slice& slice : slices_) {
    const bool fallsLast = slice.highest.ns < slice.lowest.ns;
    samples.push_back(fallsLast ? slice.highest : slice.lowest);
    if (slice.highest.ns != slice.lowest.ns) samples.push_back(fallsLast ? slice.lowest : slice.highest);
  }
  return samples;
}

}  // namespace seprog
