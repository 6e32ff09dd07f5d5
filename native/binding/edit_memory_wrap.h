#pragma once

#include "core/editors/seprog/seprog.h"
#include "handle.h"

namespace seprog::binding {

struct EditMemoryContent {
  std::shared_ptr<SeprogEditor> editor;  // embeds what is added
  std::shared_ptr<EditMemory> memory;
};

class EditMemoryWrap : public Handle<EditMemoryWrap, EditMemoryContent> {
 public:
  static constexpr const char* kClassName = "EditMemory";
  static constexpr ClassId kClassId = ClassId::EditMemory;
  static const napi_type_tag kTag;
  static Napi::Function define(Napi::Env env);
  using Handle::Handle;

 private:
  Napi::Value add(const Napi::CallbackInfo& info);
  Napi::Value update(const Napi::CallbackInfo& info);
  Napi::Value remove(const Napi::CallbackInfo& info);
  Napi::Value list(const Napi::CallbackInfo& info);
  Napi::Value size(const Napi::CallbackInfo& info);
  Napi::Value snapshot(const Napi::CallbackInfo& info);
  Napi::Value rollback(const Napi::CallbackInfo& info);
  Napi::Value save(const Napi::CallbackInfo& info);
};

}  // namespace seprog::binding
