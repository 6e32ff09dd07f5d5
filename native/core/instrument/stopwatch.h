// Wall and device time between two points, read after the device has finished what was asked of it.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/Event.h>

#include <chrono>
#include <cstdint>
#include <optional>

namespace seprog {

class Stopwatch {
 public:
  explicit Stopwatch(const c10::Device& device);

  struct Reading {
    int64_t wallNs;
    int64_t deviceNs;  // between two events on the current stream; −1 on the CPU
  };
  Reading read();

 private:
  c10::Device device_;
  std::optional<c10::Event> started_;
  std::chrono::steady_clock::time_point startedAt_;
};

}  // namespace seprog
