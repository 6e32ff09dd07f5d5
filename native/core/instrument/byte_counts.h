// What an allocator has given out: bytes by role, and what they were made up of when there were most of them. Not
// thread-safe: the allocator holds the lock.
#pragma once

#include <algorithm>
#include <vector>

#include "memory_role.h"
#include "memory_trace.h"

namespace seprog {

class ByteCounts {
 public:
  void add(MemoryRole role, int64_t bytes) {
    byRole_[static_cast<size_t>(role)] += bytes;
    allocated_ += bytes;
    if (allocated_ > peak_) {
      peak_ = allocated_;
      peakIsNow_ = true;
    }
    if (!traces_.empty()) record();
  }
  void remove(MemoryRole role, int64_t bytes) {
    // While a step's memory climbs every block is a new peak; its make-up is copied once, when it ends.
    if (peakIsNow_) {
      atPeak_ = byRole_;
      peakIsNow_ = false;
    }
    byRole_[static_cast<size_t>(role)] -= bytes;
    allocated_ -= bytes;
    if (!traces_.empty()) record();
  }

  int64_t allocatedBytes() const { return allocated_; }
  const BytesByRole& byRole() const { return byRole_; }
  /// Since the last restartPeak().
  int64_t peakBytes() const { return peak_; }
  const BytesByRole& byRoleAtPeak() const { return peakIsNow_ ? byRole_ : atPeak_; }
  void restartPeak() {
    peak_ = allocated_;
    peakIsNow_ = true;
  }

  /// Between the two every change goes into `trace`, and what stands at both ends.
  void startTrace(MemoryTrace& trace) {
    traces_.push_back(&trace);
    sample(trace);
  }
  void stopTrace(MemoryTrace& trace) {
    sample(trace);
    std::erase(traces_, &trace);
  }
  void sample(MemoryTrace& trace) const { trace.add(allocated_); }

 private:
  void record() {
    for (MemoryTrace* trace : traces_) trace->add(allocated_);
  }

  BytesByRole byRole_{};
  BytesByRole atPeak_{};
  int64_t allocated_ = 0;
  int64_t peak_ = 0;
  bool peakIsNow_ = true;
  std::vector<MemoryTrace*> traces_;
};

}  // namespace seprog
