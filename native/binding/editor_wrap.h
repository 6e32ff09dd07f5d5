#pragma once

#include "core/editors/editor.h"
#include "handle.h"

namespace seprog::binding {

class EditorWrap : public Handle<EditorWrap, Editor> {
 public:
  static constexpr const char* kClassName = "Editor";
  static constexpr ClassId kClassId = ClassId::Editor;
  static const napi_type_tag kTag;
  static Napi::Function define(Napi::Env env);
  explicit EditorWrap(const Napi::CallbackInfo& info);

 private:
  Napi::Value kind(const Napi::CallbackInfo& info);
  Napi::Value calibrate(const Napi::CallbackInfo& info);
  Napi::Value trainStep(const Napi::CallbackInfo& info);
  Napi::Value validate(const Napi::CallbackInfo& info);
  Napi::Value save(const Napi::CallbackInfo& info);
  Napi::Value restore(const Napi::CallbackInfo& info);
  Napi::Value fingerprint(const Napi::CallbackInfo& info);
  Napi::Value edit(const Napi::CallbackInfo& info);
  Napi::Value createMemory(const Napi::CallbackInfo& info);
  Napi::Value loadMemory(const Napi::CallbackInfo& info);
  Napi::Value withMemory(const Napi::CallbackInfo& info);

  const std::string kind_;
};

}  // namespace seprog::binding
