#include "work.h"

namespace seprog {

Work::Work(CancelFlag cancel, MeasureLevel measure)
    : cancel_(cancel ? std::move(cancel) : std::make_shared<std::atomic<bool>>(false)), measure_(measure) {
  if (measure_ != MeasureLevel::Nothing) queuedAt_ = std::chrono::steady_clock::now();
}

void Work::run(const c10::Device& device) noexcept {
  try {
    if (measure_ == MeasureLevel::Nothing) {
      JobContext context(cancel_);
      context.checkCancelled();
      perform(context);
      return;
    }
    const auto queued = std::chrono::steady_clock::now() - queuedAt_;
    Meter meter(device, measure_);
    JobContext context(cancel_, &meter);
    context.checkCancelled();
    perform(context);
    measurement_ = meter.finish();
    measurement_->queuedNs = std::chrono::duration_cast<std::chrono::nanoseconds>(queued).count();
  } catch (...) {
    failure_ = currentFailure();
  }
}

}  // namespace seprog
