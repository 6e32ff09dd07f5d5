// A kernel source, compiled and loaded for one GPU, launched through CUDA's driver API: no CUDA header, no CUDA runtime.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <map>
#include <string>

#include "kernel_source.h"

namespace seprog::cuda {

class Module {
 public:
  /// The module of a source on a device, made at the first call; nullptr where it cannot be, after one line to standard
  /// error that says why. Call on a thread that has used the device.
  static Module* of(const KernelSource& source, const c10::Device& device);

  /// Blocks in one dimension, on libtorch's current stream. Throws INTERNAL with the driver's own words.
  template <typename... Arguments>
  void launch(const char* kernel, int64_t blocks, unsigned threads, Arguments... arguments) {
    void* addresses[] = {&arguments...};
    launchWith(kernel, blocks, threads, addresses);
  }

  Module(const KernelSource& source, const c10::Device& device);

 private:
  void launchWith(const char* kernel, int64_t blocks, unsigned threads, void** arguments);

  c10::Device device_;
  void* module_ = nullptr;
  std::map<std::string, void*> functions_;
};

}  // namespace seprog::cuda
