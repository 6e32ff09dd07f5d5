// What every JavaScript handle to something native does: live on one engine, be disposed once, refuse use
// afterwards.
#pragma once

#include <napi.h>

#include <memory>
#include <string>

#include "addon_state.h"
#include "channel.h"
#include "convert.h"
#include "core/error.h"
#include "promise_call.h"

namespace seprog::binding {

class HandleBase {
 public:
  HandleBase(const char* className, std::shared_ptr<Channel> channel, std::shared_ptr<void> share,
             int64_t bytes, Napi::Env env);
  virtual ~HandleBase();
  HandleBase(const HandleBase&) = delete;
  HandleBase& operator=(const HandleBase&) = delete;

  Channel& channel() const { return *channel_; }
  const std::shared_ptr<Channel>& sharedChannel() const { return channel_; }
  bool isDisposed() const { return !share_; }
  /// Leaves the handle disposed.
  std::shared_ptr<void> take() noexcept;

 protected:
  Napi::Value disposeHandle();
  const std::shared_ptr<void>& liveShare() const;

 private:
  const char* className_;
  std::shared_ptr<Channel> channel_;
  std::shared_ptr<void> share_;
  int64_t bytes_;  // what V8 was told
  napi_env env_;
};

/// `Content` is what the engine made; `Self` the class that JavaScript sees. Self has kClassName, kClassId
/// and kTag.
template <typename Self, typename Content>
class Handle : public Napi::ObjectWrap<Self>, public HandleBase {
 public:
  struct Seed {
    std::shared_ptr<Channel> channel;
    std::shared_ptr<Content> content;
    int64_t bytes;
  };

  explicit Handle(const Napi::CallbackInfo& info) : Handle(info, takeSeed(info)) {}

  /// Throws DISPOSED when the engine was closed meanwhile. `bytes` is told to V8, whose handles look small.
  static Napi::Object make(Napi::Env env, std::shared_ptr<Channel> channel, std::shared_ptr<Content> content,
                           int64_t bytes = 0) {
    channel->requireOpen();
    Seed seed{std::move(channel), std::move(content), bytes};
    return AddonState::of(env).construct(Self::kClassId, seed);
  }

  /// nullptr when `value` is no handle of this class.
  static Self* from(const Napi::Value& value) {
    if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&Self::kTag)) return nullptr;
    return Napi::ObjectWrap<Self>::Unwrap(value.As<Napi::Object>());
  }

  /// Throws CONFIG_INVALID unless `value` is a handle of this class and of this engine.
  static Self& argument(const Napi::Value& value, const Channel& channel, const char* path) {
    Self* handle = from(value);
    const std::string problem = !handle                          ? describe(value)
                                : &handle->channel() != &channel ? "one of another engine"
                                                                 : "";
    if (!problem.empty()) {
      fail(ErrorCode::ConfigInvalid, std::string("expected a ") + Self::kClassName + " of this engine for `" +
                                         path + "` but received " + problem);
    }
    return *handle;
  }

  /// Throws DISPOSED.
  std::shared_ptr<Content> live() const { return std::static_pointer_cast<Content>(liveShare()); }

 protected:
  Napi::Value dispose(const Napi::CallbackInfo& info) {
    return promised(info.Env(), [&] { return disposeHandle(); });
  }
  Napi::Value disposed(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), isDisposed());
  }

 private:
  static Seed& takeSeed(const Napi::CallbackInfo& info) {
    return guarded(info.Env(),
                   [&]() -> Seed& { return AddonState::of(info.Env()).takeSeed<Seed>(Self::kClassName); });
  }
  Handle(const Napi::CallbackInfo& info, Seed& seed)
      : Napi::ObjectWrap<Self>(info),
        HandleBase(Self::kClassName, std::move(seed.channel), std::move(seed.content), seed.bytes,
                   info.Env()) {
    info.This().As<Napi::Object>().TypeTag(&Self::kTag);
  }
};

}  // namespace seprog::binding
