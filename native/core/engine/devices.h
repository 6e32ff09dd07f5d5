// What an engine may run on.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>
#include <vector>

namespace seprog {

struct DeviceInfo {
  std::string name;               // "cpu", "cuda:0": what an engine is opened with
  std::string description;        // the maker's name
  std::string computeCapability;  // "8.0"; empty on the CPU
  int64_t totalBytes = 0;
  std::string problem;  // why the loaded libtorch cannot use it and what to do; empty where it can
};

/// The CPU first, then the GPUs that both the driver and the loaded libtorch can use.
std::vector<DeviceInfo> listDevices();

/// "cpu", "cuda:N", "plan:cpu" or "plan:cuda". Throws CONFIG_INVALID for a name that is no device, UNSUPPORTED for one that this machine lacks or
/// that libtorch has no code for.
c10::Device parseDevice(const std::string& name);

}  // namespace seprog
