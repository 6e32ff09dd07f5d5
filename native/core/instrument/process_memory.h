// The process's resident high-water mark: also sees what the allocator does not (mapped weights, library
// scratch, Node).
#pragma once

#include <cstdint>

namespace seprog {

/// VmHWM in bytes; 0 where /proc cannot be read.
int64_t processPeakBytes();

/// The mark starts anew at the current resident size. False where the kernel refuses.
bool resetProcessPeak();

}  // namespace seprog
