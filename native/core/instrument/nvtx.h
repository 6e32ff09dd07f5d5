// Ranges for NVIDIA's profilers: phases show up by their names in Nsight Systems.
#pragma once

#include <c10/core/Device.h>

namespace seprog {

/// From construction to destruction; nothing on other devices and where no profiler's library is loaded.
class NvtxRange {
 public:
  NvtxRange(const c10::Device& device, const char* name);
  ~NvtxRange();
  NvtxRange(const NvtxRange&) = delete;
  NvtxRange& operator=(const NvtxRange&) = delete;

 private:
  bool isOpen_;
};

}  // namespace seprog
