#pragma once

#include "core/train/fine_tuner.h"
#include "handle.h"

namespace seprog::binding {

class FineTunerWrap : public Handle<FineTunerWrap, FineTuner> {
 public:
  static constexpr const char* kClassName = "FineTuner";
  static constexpr ClassId kClassId = ClassId::FineTuner;
  static const napi_type_tag kTag;
  static Napi::Function define(Napi::Env env);
  using Handle::Handle;

 private:
  Napi::Value trainStep(const Napi::CallbackInfo& info);
  Napi::Value validate(const Napi::CallbackInfo& info);
  Napi::Value snapshot(const Napi::CallbackInfo& info);
  Napi::Value save(const Napi::CallbackInfo& info);
  Napi::Value restore(const Napi::CallbackInfo& info);
};

}  // namespace seprog::binding
