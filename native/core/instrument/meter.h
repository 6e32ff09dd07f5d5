// Measures one job: its phases and the whole, in time and memory; in detail also what was computed and when.
#pragma once

#include <c10/core/Device.h>

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "../engine/job.h"
#include "device_memory.h"
#include "flops.h"
#include "nvtx.h"
#include "stopwatch.h"

namespace seprog {

/// What a caller asks to be measured. Detail costs time itself: never take times and detail from one call.
enum class MeasureLevel { Nothing, Clocks, Detail };

/// One run of a phase, from the start of the job.
struct Span {
  size_t phase;  // index into Measurement::phases
  int64_t beginNs;
  int64_t endNs;
};

struct Measurement {
  PhaseRecord total;
  int64_t queuedNs = 0;                // from the call to the start of the job
  std::vector<PhaseRecord> phases;     // in the order of their first begin
  std::vector<Span> spans;             // in the order of their end; detail only
  std::vector<MemorySample> timeline;  // from the start of the job, in order of time; detail only
};

class Meter {
 public:
  explicit Meter(const c10::Device& device, MeasureLevel level = MeasureLevel::Clocks);
  ~Meter();
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  /// The one that was made last on this thread and lives; null where nothing is measured.
  static Meter* current();

  /// Phases nest: end() closes the one begun last. A repeated name adds its times up, keeps the first
  /// baseline and the highest peak.
  void begin(const char* name);
  void end();
  /// A phase `<the open one>_backward`; false: the open one goes backward itself, and nothing was begun.
  bool beginBackward();

  Measurement finish();

 private:
  struct Interval {
    Interval(const c10::Device& device, size_t record, const char* name)
        : peaks(DeviceMemory::of(device)), range(device, name), stopwatch(device), record(record) {}
    /// Also what the phase itself took, without those inside it.
    Stopwatch::Reading addTo(PhaseRecord& phase);

    PeakWindow peaks;
    NvtxRange range;
    Stopwatch stopwatch;
    size_t record;
    int64_t insideWallNs = 0;
    int64_t insideDeviceNs = 0;
    int64_t beganNs = 0;
    FlopCounts flopsBefore;
    FlopCounts insideFlops;
  };
  /// Since the start of the job.
  int64_t now() const;
  void stopTrace();
  /// Adds what the interval computed since its begin to the phase, without the phases inside, and gives all of it.
  FlopCounts addFlops(const Interval& interval, PhaseRecord& phase) const;

  c10::Device device_;
  MeasureLevel level_;
  Meter* outer_;  // whose place this one takes on its thread
  std::chrono::steady_clock::time_point startedAt_ = std::chrono::steady_clock::now();
  std::vector<Span> spans_;
  std::optional<MemoryTrace> trace_;
  std::vector<PhaseRecord> phases_;
  std::vector<std::unique_ptr<Interval>> open_;
  Interval total_;
  std::optional<FlopCounter> flops_;  // detail only
};

/// While it lives a backward pass runs, which is measured apart from the phase that it is part of: a phase that works in
/// chunks, forward and back again for each, thereby knows both shares.
class BackwardPhase {
 public:
  BackwardPhase() : meter_(Meter::current()) {
    if (meter_ && !meter_->beginBackward()) meter_ = nullptr;
  }
  ~BackwardPhase();
  BackwardPhase(const BackwardPhase&) = delete;
  BackwardPhase& operator=(const BackwardPhase&) = delete;

 private:
  Meter* meter_;
};

}  // namespace seprog
