// What a running job sees of the outside: the cancel flag and the meter.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace seprog {

/// One figure set per phase. deviceNs is negative where the device has no clock of its own (CPU).
struct PhaseRecord {
  std::string name;
  int64_t wallNs = 0;
  int64_t deviceNs = -1;
  int64_t baselineBytes = 0;      // allocated when the phase began
  int64_t peakBytes = 0;          // highest allocated during the phase
  int64_t peakReservedBytes = 0;  // highest held by the allocator (allocated + cached)
};

class Meter;  // instrument/meter.h: synchronises the device, reads clocks and peaks

using CancelFlag = std::shared_ptr<std::atomic<bool>>;

class JobContext {
 public:
  /// Both may be null: a job nobody can cancel and nobody measures.
  explicit JobContext(CancelFlag cancel = nullptr, Meter* meter = nullptr)
      : cancel_(std::move(cancel)), meter_(meter) {}

  /// Throws Error(ABORTED) once the flag is set. Call between steps of loops, never inside a parameter
  /// update.
  void checkCancelled() const;

  /// Measures from construction to destruction; costs nothing without a meter. Phases may nest; a repeated
  /// name adds up.
  class Phase {
   public:
    Phase(Meter* meter, const char* name);
    ~Phase();
    Phase(const Phase&) = delete;
    Phase& operator=(const Phase&) = delete;

   private:
    Meter* meter_;
  };
  Phase phase(const char* name) { return Phase(meter_, name); }

 private:
  CancelFlag cancel_;
  Meter* meter_;
};

}  // namespace seprog
