#include "cancel_token_wrap.h"

namespace seprog::binding {

const napi_type_tag CancelTokenWrap::kTag = {0x5e9a0c11b0e84d01, 0xa1c6e7f0d3b24901};

Napi::Function CancelTokenWrap::define(Napi::Env env) {
  return DefineClass(env, "CancelToken",
                     {InstanceMethod<&CancelTokenWrap::cancel>("cancel"),
                      InstanceAccessor<&CancelTokenWrap::cancelled>("cancelled")});
}

CancelTokenWrap::CancelTokenWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<CancelTokenWrap>(info) {
  info.This().As<Napi::Object>().TypeTag(&kTag);
}

const CancelTokenWrap* CancelTokenWrap::from(const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTag)) return nullptr;
  return Unwrap(value.As<Napi::Object>());
}

void CancelTokenWrap::cancel(const Napi::CallbackInfo&) { flag_->store(true, std::memory_order_relaxed); }

Napi::Value CancelTokenWrap::cancelled(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), flag_->load(std::memory_order_relaxed));
}

}  // namespace seprog::binding
