// Memory figures of one device, and their peaks over intervals.
#pragma once

#include <c10/core/Device.h>

#include <mutex>

#include "counting_allocator.h"

namespace seprog {

class PeakWindow;

/// One per device and process. The CPU's figures come from the counting allocator, a GPU's from libtorch's
/// own.
class DeviceMemory {
 public:
  static DeviceMemory& of(const c10::Device& device);

  MemoryCounts counts() const;

  /// Between the two every change goes into `trace` where the device's allocator tells of them (the CPU's);
  /// elsewhere only what sample() asks for.
  void startTrace(MemoryTrace& trace) const;
  void stopTrace(MemoryTrace& trace) const;
  void sample(MemoryTrace& trace) const;

 private:
  friend class PeakWindow;
  explicit DeviceMemory(const c10::Device& device) : device_(device) {}
  MemoryCounts take() const;
  /// Hands the peaks since the last call to every open window.
  MemoryCounts fold();

  c10::Device device_;
  std::mutex mutex_;
  PeakWindow* first_ = nullptr;
};

/// The highest figures from construction to read(). Windows may nest and overlap, on several threads too:
/// what happens inside an inner one counts for the outer one as well.
class PeakWindow {
 public:
  explicit PeakWindow(DeviceMemory& memory);
  ~PeakWindow();
  PeakWindow(const PeakWindow&) = delete;
  PeakWindow& operator=(const PeakWindow&) = delete;

  int64_t baselineBytes() const { return baselineBytes_; }
  /// allocated and reserved are the current figures; the peaks are those of the window.
  MemoryCounts read();
  void restart();

 private:
  void startAt(const MemoryCounts& now);
  friend class DeviceMemory;

  DeviceMemory& memory_;
  PeakWindow* previous_ = nullptr;
  PeakWindow* next_ = nullptr;
  int64_t baselineBytes_ = 0;
  int64_t peakBytes_ = 0;
  int64_t peakReservedBytes_ = 0;
  std::optional<BytesByRole> rolesAtPeak_;
};

}  // namespace seprog
