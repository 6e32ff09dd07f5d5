// The CPU allocator of the process: exact counts, resettable peaks and a bounded cache of freed blocks.
// A fresh large block costs a page fault per 4 KiB; a cached one costs nothing, which is why a training step
// that asks for the same sizes again and again is served from the cache.
#pragma once

#include <cstdint>
#include <optional>

#include "memory_role.h"
#include "memory_trace.h"

namespace seprog {

/// Bytes. `allocated` counts what was asked for; `reserved` what is held from the system: live blocks as
/// rounded, and the cache. A peak is the highest since the last takeCounts().
struct MemoryCounts {
  int64_t allocatedBytes = 0;
  int64_t peakBytes = 0;
  int64_t reservedBytes = 0;
  int64_t peakReservedBytes = 0;
  // What allocatedBytes and peakBytes are made up of, where the allocator tells.
  std::optional<BytesByRole> roles;
  std::optional<BytesByRole> rolesAtPeak;
};

/// Makes libtorch allocate CPU tensors here. To be called before the first tensor is made; calling it again
/// is free. Throws Error(OUT_OF_MEMORY) out of an allocation that the system refuses even after the cache was
/// given back.
void installCountingAllocator();

MemoryCounts cpuMemoryCounts();

/// The counts, and in the same instant the peaks start anew at the current figures.
MemoryCounts takeCpuMemoryCounts();

/// Between the two every block made or freed goes into `trace`.
void startCpuMemoryTrace(MemoryTrace& trace);
void stopCpuMemoryTrace(MemoryTrace& trace);

/// Puts the present figure into a started trace.
void sampleCpuMemory(MemoryTrace& trace);

/// Gives cached blocks back to the system. What the cache may hold is then bounded anew by what is live.
void trimCpuMemoryCache();

}  // namespace seprog
