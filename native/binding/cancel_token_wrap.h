#pragma once

#include <napi.h>

#include "core/engine/job.h"

namespace seprog::binding {

/// The flag that a call checks between its steps; set from JavaScript without waiting for anything.
class CancelTokenWrap : public Napi::ObjectWrap<CancelTokenWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit CancelTokenWrap(const Napi::CallbackInfo& info);

  /// nullptr when `value` is something else.
  static const CancelTokenWrap* from(const Napi::Value& value);
  const CancelFlag& flag() const { return flag_; }

 private:
  static const napi_type_tag kTag;
  void cancel(const Napi::CallbackInfo& info);
  Napi::Value cancelled(const Napi::CallbackInfo& info);

  CancelFlag flag_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace seprog::binding
