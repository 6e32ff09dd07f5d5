// One unit of work on its way through an engine: queued, run or refused once, then handed back.
#pragma once

#include <c10/core/Device.h>

#include <chrono>
#include <memory>
#include <optional>

#include "../instrument/meter.h"
#include "failure.h"
#include "job.h"

namespace seprog {

class Work {
 public:
  /// `cancel` may be shared with other work; it also serves to stop this one when the engine stops.
  Work(CancelFlag cancel, MeasureLevel measure);
  virtual ~Work() = default;
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  /// On the engine thread. Whatever perform() throws becomes the failure; a flag set before the start is
  /// ABORTED.
  void run(const c10::Device& device) noexcept;
  void refuse(Failure failure) noexcept { failure_ = std::move(failure); }
  void cancel() noexcept { cancel_->store(true, std::memory_order_relaxed); }

  const std::optional<Failure>& failure() const { return failure_; }
  const std::optional<Measurement>& measurement() const { return measurement_; }

 protected:
  virtual void perform(JobContext& context) = 0;

 private:
  CancelFlag cancel_;
  MeasureLevel measure_;
  std::chrono::steady_clock::time_point queuedAt_;
  std::optional<Failure> failure_;
  std::optional<Measurement> measurement_;
};

}  // namespace seprog
