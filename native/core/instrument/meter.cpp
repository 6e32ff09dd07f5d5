#include "meter.h"

#include <algorithm>

namespace seprog {

Meter::Meter(const c10::Device& device) : device_(device), total_(device, 0) {}

void Meter::Interval::addTo(PhaseRecord& phase) {
  const Stopwatch::Reading time = stopwatch.read();
  const MemoryCounts memory = peaks.read();
  phase.wallNs += time.wallNs;
  phase.deviceNs = time.deviceNs < 0 ? -1 : std::max<int64_t>(phase.deviceNs, 0) + time.deviceNs;
  phase.peakBytes = std::max(phase.peakBytes, memory.peakBytes);
  phase.peakReservedBytes = std::max(phase.peakReservedBytes, memory.peakReservedBytes);
}

void Meter::begin(const char* name) {
  const auto found = std::find_if(phases_.begin(), phases_.end(),
                                  [&](const PhaseRecord& phase) { return phase.name == name; });
  const auto record = static_cast<size_t>(found - phases_.begin());
  const bool isNew = found == phases_.end();
  if (isNew) phases_.push_back({.name = name});
  open_.push_back(std::make_unique<Interval>(device_, record));
  if (isNew) phases_[record].baselineBytes = open_.back()->peaks.baselineBytes();
}

void Meter::end() {
  const auto interval = std::move(open_.back());
  open_.pop_back();
  interval->addTo(phases_[interval->record]);
}

Measurement Meter::finish() {
  Measurement measurement;
  measurement.total.name = "total";
  measurement.total.baselineBytes = total_.peaks.baselineBytes();
  total_.addTo(measurement.total);
  measurement.phases = std::move(phases_);
  return measurement;
}

}  // namespace seprog
