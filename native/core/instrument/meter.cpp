#include "meter.h"

#include <algorithm>
#include <string>
#include <string_view>

namespace seprog {
namespace {

constexpr std::string_view kBackward = "backward";

thread_local Meter* currentMeter = nullptr;

RoleBytes named(const BytesByRole& bytes) {
  RoleBytes roles;
  for (size_t role = 0; role < kMemoryRoles; ++role) roles.emplace_back(kMemoryRoleNames[role], bytes[role]);
  return roles;
}

}  // namespace

Meter::Meter(const c10::Device& device, MeasureLevel level)
    : device_(device), level_(level), outer_(currentMeter), total_(device, 0, "total") {
  currentMeter = this;
  if (level_ != MeasureLevel::Detail) return;
  trace_.emplace(startedAt_);
  DeviceMemory::of(device_).startTrace(*trace_);
  flops_.emplace();
}

Meter::~Meter() {
  currentMeter = outer_;
  stopTrace();
}

Meter* Meter::current() { return currentMeter; }

void Meter::stopTrace() {
  if (trace_) DeviceMemory::of(device_).stopTrace(*trace_);
}

int64_t Meter::now() const {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - startedAt_)
      .count();
}

Stopwatch::Reading Meter::Interval::addTo(PhaseRecord& phase) {
  const Stopwatch::Reading time = stopwatch.read();
  const MemoryCounts memory = peaks.read();
  const auto add = [](int64_t& sum, int64_t ns) { sum = std::max<int64_t>(sum, 0) + ns; };
  phase.calls += 1;
  phase.wallNs += time.wallNs;
  phase.selfWallNs += time.wallNs - insideWallNs;
  if (time.deviceNs >= 0) {
    add(phase.deviceNs, time.deviceNs);
    add(phase.selfDeviceNs, time.deviceNs - insideDeviceNs);
  }
  if (memory.peakBytes > phase.peakBytes) {
    phase.peakBytes = memory.peakBytes;
    if (memory.rolesAtPeak) phase.rolesAtPeak = named(*memory.rolesAtPeak);
  }
  phase.peakReservedBytes = std::max(phase.peakReservedBytes, memory.peakReservedBytes);
  return time;
}

FlopCounts Meter::addFlops(const Interval& interval, PhaseRecord& phase) const {
  const FlopCounts all = flops_->counts() - interval.flopsBefore;
  phase.flops = phase.flops.value_or(FlopCounts()) + (all - interval.insideFlops);
  return all;
}

void Meter::begin(const char* name) {
  const auto found = std::find_if(phases_.begin(), phases_.end(),
                                  [&](const PhaseRecord& phase) { return phase.name == name; });
  const auto record = static_cast<size_t>(found - phases_.begin());
  const bool isNew = found == phases_.end();
  if (isNew) phases_.emplace_back().name = name;
  open_.push_back(std::make_unique<Interval>(device_, record, name));
  if (isNew) phases_[record].baselineBytes = open_.back()->peaks.baselineBytes();
  if (level_ == MeasureLevel::Detail) {
    open_.back()->beganNs = now();
    DeviceMemory::of(device_).sample(*trace_);
    open_.back()->flopsBefore = flops_->counts();
  }
}

void Meter::end() {
  const auto interval = std::move(open_.back());
  open_.pop_back();
  const Stopwatch::Reading time = interval->addTo(phases_[interval->record]);
  Interval& outer = open_.empty() ? total_ : *open_.back();
  outer.insideWallNs += time.wallNs;
  outer.insideDeviceNs += std::max<int64_t>(time.deviceNs, 0);
  if (level_ == MeasureLevel::Detail) {
    const int64_t endNs = now();
    spans_.push_back({interval->record, interval->beganNs, endNs});
    DeviceMemory::of(device_).sample(*trace_);
    outer.insideFlops = outer.insideFlops + addFlops(*interval, phases_[interval->record]);
  }
}

bool Meter::beginBackward() {
  const std::string outer = open_.empty() ? "" : phases_[open_.back()->record].name;
  if (outer.ends_with(kBackward)) return false;
  begin((outer.empty() ? std::string(kBackward) : outer + "_" + std::string(kBackward)).c_str());
  return true;
}

BackwardPhase::~BackwardPhase() {
  if (!meter_) return;
  try {
    meter_->end();
  } catch (...) {
    // As in JobContext::Phase.
  }
}

Measurement Meter::finish() {
  Measurement measurement;
  measurement.total.name = "total";
  measurement.total.baselineBytes = total_.peaks.baselineBytes();
  total_.addTo(measurement.total);
  if (level_ == MeasureLevel::Detail) addFlops(total_, measurement.total);
  measurement.phases = std::move(phases_);
  measurement.spans = std::move(spans_);
  if (trace_) {
    stopTrace();
    measurement.timeline = trace_->samples();
    trace_.reset();
  }
  return measurement;
}

}  // namespace seprog
