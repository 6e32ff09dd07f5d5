// What a running job sees of the outside: the cancel flag and the meter.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace seprog {

/// Floating-point operations of matrix products: two for every multiply-add. Second order is what runs backward
/// through a graph that a backward pass has recorded.
struct FlopCounts {
  int64_t forward = 0;
  int64_t backward = 0;
  int64_t secondOrder = 0;
};

/// Allocated bytes by what they are for; names as in instrument/memory_role.h.
using RoleBytes = std::vector<std::pair<std::string, int64_t>>;

/// One figure set per phase. Device times are negative where the device has no clock of its own (CPU). «self» leaves
/// out the phases inside: over all phases and the whole, self times and FLOPs add up to the whole.
struct PhaseRecord {
  std::string name;
  int64_t calls = 0;
  int64_t wallNs = 0;
  int64_t selfWallNs = 0;
  int64_t deviceNs = -1;
  int64_t selfDeviceNs = -1;
  std::optional<FlopCounts> flops;  // self; only where asked for
  RoleBytes rolesAtPeak;            // empty where the device's allocator does not tell
  int64_t baselineBytes = 0;        // allocated when the phase began
  int64_t peakBytes = 0;            // highest allocated during the phase
  int64_t peakReservedBytes = 0;    // highest held by the allocator (allocated + cached)
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
