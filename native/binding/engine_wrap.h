#pragma once

#include <napi.h>

#include <memory>

#include "channel.h"

namespace seprog::binding {

class EngineWrap : public Napi::ObjectWrap<EngineWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit EngineWrap(const Napi::CallbackInfo& info);
  ~EngineWrap() override;

 private:
  Napi::Value device(const Napi::CallbackInfo& info);
  Napi::Value threads(const Napi::CallbackInfo& info);
  Napi::Value deterministic(const Napi::CallbackInfo& info);
  Napi::Value closed(const Napi::CallbackInfo& info);
  Napi::Value loadModel(const Napi::CallbackInfo& info);
  Napi::Value createModel(const Napi::CallbackInfo& info);
  Napi::Value createEditor(const Napi::CallbackInfo& info);
  Napi::Value createFineTuner(const Napi::CallbackInfo& info);
  Napi::Value matmulBackend(const Napi::CallbackInfo& info);
  Napi::Value memoryStats(const Napi::CallbackInfo& info);
  Napi::Value busyMs(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  std::shared_ptr<Channel> channel_;
};

}  // namespace seprog::binding
