#include "device_memory.h"

#include <ATen/DeviceAccelerator.h>

#include <algorithm>
#include <map>
#include <memory>

#include "../plan/plan_allocator.h"

namespace seprog {

DeviceMemory& DeviceMemory::of(const c10::Device& device) {
  static std::mutex mutex;
  static auto* devices =
      new std::map<std::pair<c10::DeviceType, c10::DeviceIndex>, std::unique_ptr<DeviceMemory>>();
  std::lock_guard lock(mutex);
  auto& entry = (*devices)[{device.type(), device.index()}];
  if (!entry) entry.reset(new DeviceMemory(device));
  return *entry;
}

namespace {

MemoryCounts acceleratorCounts(const c10::Device& device) {
  const auto stats = at::accelerator::getDeviceStats(device.index());
  constexpr auto kAll = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  const auto& allocated = stats.allocated_bytes[kAll];
  const auto& reserved = stats.reserved_bytes[kAll];
  return {allocated.current, allocated.peak, reserved.current, reserved.peak, std::nullopt, std::nullopt};
}

}  // namespace

MemoryCounts DeviceMemory::counts() const {
  if (device_.is_meta()) return planMemoryCounts(device_);
  return device_.is_cpu() ? cpuMemoryCounts() : acceleratorCounts(device_);
}

MemoryCounts DeviceMemory::take() const {
  if (device_.is_cpu()) return takeCpuMemoryCounts();
  if (device_.is_meta()) return takePlanMemoryCounts(device_);
  const MemoryCounts counts = acceleratorCounts(device_);
  at::accelerator::resetPeakStats(device_.index());
  return counts;
}

void DeviceMemory::startTrace(MemoryTrace& trace) const {
  if (device_.is_cpu()) return startCpuMemoryTrace(trace);
  if (device_.is_meta()) return startPlanMemoryTrace(device_, trace);
  sample(trace);
}

void DeviceMemory::stopTrace(MemoryTrace& trace) const {
  if (device_.is_cpu()) return stopCpuMemoryTrace(trace);
  if (device_.is_meta()) return stopPlanMemoryTrace(device_, trace);
  sample(trace);
}

void DeviceMemory::sample(MemoryTrace& trace) const {
  if (device_.is_cpu()) return sampleCpuMemory(trace);
  if (device_.is_meta()) return samplePlanMemory(device_, trace);
  trace.add(counts().allocatedBytes);
}

MemoryCounts DeviceMemory::fold() {
  const MemoryCounts taken = take();
  for (PeakWindow* window = first_; window; window = window->next_) {
    if (taken.peakBytes > window->peakBytes_) {
      window->peakBytes_ = taken.peakBytes;
      window->rolesAtPeak_ = taken.rolesAtPeak;
    }
    window->peakReservedBytes_ = std::max(window->peakReservedBytes_, taken.peakReservedBytes);
  }
  return taken;
}

PeakWindow::PeakWindow(DeviceMemory& memory) : memory_(memory) {
  std::lock_guard lock(memory_.mutex_);
  startAt(memory_.fold());
  next_ = memory_.first_;
  if (next_) next_->previous_ = this;
  memory_.first_ = this;
}

PeakWindow::~PeakWindow() {
  std::lock_guard lock(memory_.mutex_);
  (previous_ ? previous_->next_ : memory_.first_) = next_;
  if (next_) next_->previous_ = previous_;
}

MemoryCounts PeakWindow::read() {
  std::lock_guard lock(memory_.mutex_);
  const MemoryCounts now = memory_.fold();
  return {now.allocatedBytes, peakBytes_, now.reservedBytes, peakReservedBytes_, now.roles, rolesAtPeak_};
}

void PeakWindow::startAt(const MemoryCounts& now) {
  baselineBytes_ = peakBytes_ = now.allocatedBytes;
  peakReservedBytes_ = now.reservedBytes;
  rolesAtPeak_ = now.roles;
}

void PeakWindow::restart() {
  std::lock_guard lock(memory_.mutex_);
  startAt(memory_.fold());
}

}  // namespace seprog
