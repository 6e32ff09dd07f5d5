#include "handle.h"

namespace seprog::binding {

HandleBase::HandleBase(const char* className, std::shared_ptr<Channel> channel, std::shared_ptr<void> share,
                       int64_t bytes, Napi::Env env)
    : className_(className),
      channel_(std::move(channel)),
      share_(std::move(share)),
      bytes_(bytes),
      env_(env) {
  channel_->attach(this);
  if (bytes_ > 0) Napi::MemoryManagement::AdjustExternalMemory(env, bytes_);
}

HandleBase::~HandleBase() {
  const bool large = bytes_ > 0;
  channel_->release(take(), large);
  channel_->detach(this);
}

std::shared_ptr<void> HandleBase::take() noexcept {
  if (bytes_ > 0) {
    int64_t total = 0;
    napi_adjust_external_memory(env_, -bytes_, &total);
    bytes_ = 0;
  }
  return std::move(share_);
}

Napi::Value HandleBase::disposeHandle() {
  const bool large = bytes_ > 0;
  return channel_->dispose(take(), large);
}

const std::shared_ptr<void>& HandleBase::liveShare() const {
  if (!share_)
    fail(ErrorCode::Disposed, std::string("expected a live ") + className_ + " but it was disposed");
  return share_;
}

}  // namespace seprog::binding
