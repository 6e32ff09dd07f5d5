#include "job.h"

#include "../error.h"
#include "../instrument/meter.h"

namespace seprog {

void JobContext::checkCancelled() const {
  if (cancel_ && cancel_->load(std::memory_order_relaxed)) fail(ErrorCode::Aborted, "the call was aborted");
}

JobContext::Phase::Phase(Meter* meter, const char* name) : meter_(meter) {
  if (meter_) meter_->begin(name);
}

JobContext::Phase::~Phase() {
  if (!meter_) return;
  try {
    meter_->end();
  } catch (...) {
    // Reading the clock of a device that has failed. The device's next call reports it; a destructor cannot.
  }
}

}  // namespace seprog
