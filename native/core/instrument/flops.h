// Floating-point operations of matrix products, counted from what libtorch's dispatcher runs. docs/measuring.md says
// what is counted and what is not.
#pragma once

#include <ATen/record_function.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <memory>

#include "../engine/job.h"

namespace seprog {

/// Counts what its thread asks libtorch for while it lives: 2·m·n·k for every product of m × k by k × n. Only shapes
/// are read, so tensors without data count as well. What runs on libtorch's threads for the backward pass of a device
/// is counted too. To be destroyed on its own thread; one at a time on a thread.
class FlopCounter {
 public:
  FlopCounter();
  ~FlopCounter();
  FlopCounter(const FlopCounter&) = delete;
  FlopCounter& operator=(const FlopCounter&) = delete;

  FlopCounts counts() const;

 private:
  class Counts;
  std::shared_ptr<Counts> counts_;
  c10::DebugInfoGuard whereCallbacksFindIt_;
  at::CallbackHandle operations_;
  at::CallbackHandle nodes_;
};

/// A backward pass that is written out by hand, from construction to destruction: its products count as backward.
/// Costs next to nothing when nobody counts.
class BackwardPass {
 public:
  explicit BackwardPass(const char* name);

 private:
  at::RecordFunction node_;
};

/// Counts the products of a kernel of ours that computes them without libtorch's. Costs next to nothing when nobody
/// counts.
void countOwnProducts(int64_t flops);

inline FlopCounts operator+(const FlopCounts& a, const FlopCounts& b) {
  return {a.forward + b.forward, a.backward + b.backward, a.secondOrder + b.secondOrder};
}
inline FlopCounts operator-(const FlopCounts& a, const FlopCounts& b) {
  return {a.forward - b.forward, a.backward - b.backward, a.secondOrder - b.secondOrder};
}

}  // namespace seprog
