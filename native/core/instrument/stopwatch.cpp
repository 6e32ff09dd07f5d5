#include "stopwatch.h"

#include <ATen/DeviceAccelerator.h>

namespace seprog {
namespace {

c10::Event recordEvent(const c10::Device& device) {
  c10::Event event(device.type(), c10::EventFlag::BACKEND_DEFAULT);
  event.record(at::accelerator::getCurrentStream(device.index()));
  return event;
}

}  // namespace

Stopwatch::Stopwatch(const c10::Device& device) : device_(device) {
  if (!device_.is_cpu() && !device_.is_meta()) {
    at::accelerator::synchronizeDevice(device_.index());
    started_.emplace(recordEvent(device_));
  }
  startedAt_ = std::chrono::steady_clock::now();
}

Stopwatch::Reading Stopwatch::read() {
  Reading reading{0, -1};
  if (started_) {
    const c10::Event stopped = recordEvent(device_);
    at::accelerator::synchronizeDevice(device_.index());
    reading.deviceNs = static_cast<int64_t>(started_->elapsedTime(stopped) * 1e6);
  }
  const auto elapsed = std::chrono::steady_clock::now() - startedAt_;
  reading.wallNs = std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count();
  return reading;
}

}  // namespace seprog
