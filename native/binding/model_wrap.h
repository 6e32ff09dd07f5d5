#pragma once

#include <string>

#include "scorer_calls.h"

namespace seprog::binding {

struct ModelContent {
  std::shared_ptr<const Model> model;
  std::shared_ptr<Scorer> scorer;
  std::string checksum;  // 16 hex digits
  int64_t parameterCount;
};

class ModelWrap : public ScorerHandle<ModelWrap, ModelContent> {
 public:
  static constexpr const char* kClassName = "Model";
  static constexpr ClassId kClassId = ClassId::Model;
  static const napi_type_tag kTag;
  static Napi::Function define(Napi::Env env);
  explicit ModelWrap(const Napi::CallbackInfo& info);

  /// On the engine thread: reads every weight once.
  static std::shared_ptr<ModelContent> describeContent(Model model);
  static Napi::Object fromContent(Napi::Env env, std::shared_ptr<Channel> channel,
                                  std::shared_ptr<ModelContent> content);

 private:
  Napi::Value info(const Napi::CallbackInfo& info);
  Napi::Value save(const Napi::CallbackInfo& info);

  // Outlives disposal: what a model was is still worth a line in a log.
  Napi::ObjectReference info_;
};

}  // namespace seprog::binding
