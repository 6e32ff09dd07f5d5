#include "channel.h"

#include <chrono>
#include <utility>

#include "addon_state.h"
#include "core/instrument/counting_allocator.h"
#include "handle.h"
#include "translate_error.h"

namespace seprog::binding {
namespace {

// Longer than a call that only looks something up takes, and no more than a tenth of a percent of what the
// event loop may be held.
constexpr std::chrono::microseconds kPoll{5};
// A loop that awaits one short call after another must still let the event loop turn.
constexpr int kMostPolledInARow = 64;
// A call that was longer, or an engine thread that had to wait for a core, is seldom the only one.
constexpr int kUnpolledAfterMiss = 16;

}  // namespace

/// Releases everything that the engine made, as the last thing its thread does.
class Channel::LastCall final : public Call {
 public:
  LastCall(std::shared_ptr<Channel> channel, std::vector<std::shared_ptr<void>> shares)
      : Call(nullptr, MeasureLevel::Nothing), channel_(std::move(channel)), shares_(std::move(shares)) {}

  void settle(Napi::Env) override { channel_->finishClose(); }

 protected:
  void perform(JobContext&) override {
    shares_.clear();
    channel_->memoryPeaks_.reset();
    if (channel_->engine_.device().is_cpu()) trimCpuMemoryCache();
  }

 private:
  std::shared_ptr<Channel> channel_;
  std::vector<std::shared_ptr<void>> shares_;
};

class Channel::ReleaseCall final : public Call {
 public:
  using Deferred = Napi::Promise::Deferred;
  ReleaseCall(std::shared_ptr<void> share, bool large, std::optional<Deferred> deferred)
      : Call(nullptr, MeasureLevel::Nothing),
        share_(std::move(share)),
        large_(large),
        deferred_(std::move(deferred)) {}

  // Refused or not: the share is gone.
  void settle(Napi::Env env) override {
    if (deferred_) deferred_->Resolve(env.Undefined());
  }

 protected:
  void perform(JobContext&) override {
    share_.reset();
    if (large_) trimCpuMemoryCache();
  }

 private:
  std::shared_ptr<void> share_;
  const bool large_;
  std::optional<Deferred> deferred_;
};

Channel::Channel(Napi::Env env, c10::Device device, int threads, bool deterministic)
    : env_(env),
      engine_(
          device, threads, [this](std::unique_ptr<Work> work) { completed(std::move(work)); },
          deterministic) {}

// The engine's thread starts at once but calls back only for work, and none is submitted before open()
// returns.
std::shared_ptr<Channel> Channel::open(Napi::Env env, c10::Device device, int threads, bool deterministic) {
  std::shared_ptr<Channel> channel(new Channel(env, device, threads, deterministic));
  // Node may call into a released function once more; it holds a share of its own until it is done.
  auto* share = new std::shared_ptr<Channel>(channel);
  const auto finalize = [](napi_env, void* data, void*) {
    delete static_cast<std::shared_ptr<Channel>*>(data);
  };
  const napi_status status = napi_create_threadsafe_function(
      env, nullptr, nullptr, Napi::String::New(env, "seprog-engine"), 0, 1, share, finalize, channel.get(),
      &Channel::onCompletion, &channel->function_);
  if (status != napi_ok) {
    delete share;
    fail(ErrorCode::Internal, "the thread-safe function of an engine could not be made");
  }
  // An idle engine must not keep the process alive.
  napi_unref_threadsafe_function(env, channel->function_);
  // Hooks run in reverse order: this one, which joins the thread, before the one that takes the function
  // away.
  napi_add_env_cleanup_hook(env, &Channel::onEnvironmentEnd, channel.get());
  channel->connected_ = true;
  AddonState::of(env).add(channel);
  return channel;
}

Channel::~Channel() { engine_.stop(); }

void Channel::requireOpen() const {
  if (closed_) fail(ErrorCode::Disposed, "expected an open engine but it is closed");
}

void Channel::submit(std::unique_ptr<Call> call) {
  if (unpolled_ > 0 || polledInARow_ == kMostPolledInARow) {
    if (unpolled_ > 0) --unpolled_;
    return enqueue(std::move(call));
  }
  ++polledInARow_;
  ++pending_;
  {
    std::lock_guard lock(mutex_);
    polled_ = true;
  }
  if (engine_.submit(std::move(call))) {
    const auto until = std::chrono::steady_clock::now() + kPoll;
    while (!anyDone_.load(std::memory_order_acquire) && std::chrono::steady_clock::now() < until) {
    }
    if (!anyDone_.load(std::memory_order_acquire)) unpolled_ = kUnpolledAfterMiss;
  }
  bool anyDone = false;
  {
    std::lock_guard lock(mutex_);
    polled_ = false;
    anyDone = !done_.empty();
  }
  if (anyDone) {
    drain(env_);
  } else {
    updateReference();
  }
}

void Channel::enqueue(std::unique_ptr<Call> call) {
  ++pending_;
  updateReference();
  engine_.submit(std::move(call));
}

void Channel::updateReference() noexcept {
  const bool wanted = pending_ > 0;
  if (!connected_ || wanted == referenced_) return;
  referenced_ = wanted;
  if (wanted) {
    napi_ref_threadsafe_function(env_, function_);
  } else {
    napi_unref_threadsafe_function(env_, function_);
  }
}

Napi::Value Channel::close() {
  const auto deferred = Napi::Promise::Deferred::New(env_);
  if (!connected_) {
    deferred.Resolve(Napi::Env(env_).Undefined());
    return deferred.Promise();
  }
  closing_.push_back(deferred);
  if (!closed_) {
    closed_ = true;
    std::vector<std::shared_ptr<void>> shares;
    for (HandleBase* handle : handles_) shares.push_back(handle->take());
    ++pending_;
    updateReference();
    engine_.close(std::make_unique<LastCall>(shared_from_this(), std::move(shares)));
  }
  return deferred.Promise();
}

void Channel::finishClose() {
  disconnect();
  for (const auto& deferred : std::exchange(closing_, {})) deferred.Resolve(Napi::Env(env_).Undefined());
}

void Channel::stopEngine() noexcept {
  closed_ = true;
  {
    std::lock_guard lock(mutex_);
    environmentEnds_ = true;
  }
  engine_.stop();
}

void Channel::shutdown() noexcept {
  const auto self = shared_from_this();
  stopEngine();
  disconnect();
}

void Channel::onEnvironmentEnd(void* data) {
  auto* channel = static_cast<Channel*>(data);
  channel->stopEngine();
  // From here on the function belongs to the environment, whose own hook comes next.
  channel->connected_ = false;
}

void Channel::disconnect() noexcept {
  if (!connected_) return;
  connected_ = false;
  engine_.stop();
  napi_remove_env_cleanup_hook(env_, &Channel::onEnvironmentEnd, this);
  napi_release_threadsafe_function(function_, napi_tsfn_abort);
  AddonState::of(env_).remove(this);
}

void Channel::attach(HandleBase* handle) { handles_.insert(handle); }

void Channel::detach(HandleBase* handle) noexcept {
  handles_.erase(handle);
  abandonIfUnused();
}

void Channel::engineObjectCollected() noexcept {
  engineObjectAlive_ = false;
  abandonIfUnused();
}

void Channel::abandonIfUnused() noexcept {
  if (connected_ && !engineObjectAlive_ && handles_.empty() && pending_ == 0) shutdown();
}

Napi::Value Channel::dispose(std::shared_ptr<void> share, bool large) {
  const auto deferred = Napi::Promise::Deferred::New(env_);
  if (share && !closed_) {
    submit(std::make_unique<ReleaseCall>(std::move(share), large, deferred));
  } else {
    deferred.Resolve(Napi::Env(env_).Undefined());
  }
  return deferred.Promise();
}

void Channel::release(std::shared_ptr<void> share, bool large) noexcept {
  if (share && !closed_) enqueue(std::make_unique<ReleaseCall>(std::move(share), large, std::nullopt));
}

PeakWindow& Channel::memoryPeaks() {
  if (!memoryPeaks_) memoryPeaks_ = std::make_unique<PeakWindow>(DeviceMemory::of(engine_.device()));
  return *memoryPeaks_;
}

void Channel::completed(std::unique_ptr<Work> work) {
  std::lock_guard lock(mutex_);
  if (environmentEnds_) return;
  done_.push_back(std::unique_ptr<Call>(static_cast<Call*>(work.release())));
  anyDone_.store(true, std::memory_order_release);
  if (polled_ || announced_) return;  // drain() will find this one
  announced_ = napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking) == napi_ok;
  // Any other answer means that the environment ends: its hook joins this thread, and nothing is to be told
  // any more.
  environmentEnds_ = !announced_;
}

void Channel::onCompletion(napi_env env, napi_value, void* context, void*) {
  if (!env) return;
  const auto self = static_cast<Channel*>(context)->shared_from_this();
  {
    std::lock_guard lock(self->mutex_);
    self->announced_ = false;
  }
  self->polledInARow_ = 0;
  self->drain(Napi::Env(env));
}

void Channel::drain(Napi::Env env) {
  // Not a member: settling can run a getter of the user's, and that can submit.
  std::vector<std::unique_ptr<Call>> batch;
  {
    std::lock_guard lock(mutex_);
    batch.swap(done_);
    anyDone_.store(false, std::memory_order_relaxed);
  }
  for (auto& call : batch) {
    try {
      Napi::HandleScope scope(env);
      call->settle(env);
    } catch (const Napi::Error&) {
      // The environment is ending and takes no more values; there is nobody left to tell.
    }
    call.reset();
    --pending_;
  }
  updateReference();
  abandonIfUnused();
}

}  // namespace seprog::binding
