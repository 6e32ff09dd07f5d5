// Measures one job: its phases and the whole, in time and memory.
#pragma once

#include <c10/core/Device.h>

#include <memory>
#include <vector>

#include "../engine/job.h"
#include "device_memory.h"
#include "stopwatch.h"

namespace seprog {

struct Measurement {
  PhaseRecord total;
  int64_t queuedNs = 0;             // from the call to the start of the job
  std::vector<PhaseRecord> phases;  // in the order of their first begin
};

class Meter {
 public:
  explicit Meter(const c10::Device& device);

  /// Phases nest: end() closes the one begun last. A repeated name adds its times up, keeps the first
  /// baseline and the highest peak.
  void begin(const char* name);
  void end();

  Measurement finish();

 private:
  struct Interval {
    Interval(const c10::Device& device, size_t record)
        : peaks(DeviceMemory::of(device)), stopwatch(device), record(record) {}
    void addTo(PhaseRecord& phase);

    PeakWindow peaks;
    Stopwatch stopwatch;
    size_t record;
  };

  c10::Device device_;
  std::vector<PhaseRecord> phases_;
  std::vector<std::unique_ptr<Interval>> open_;
  Interval total_;
};

}  // namespace seprog
