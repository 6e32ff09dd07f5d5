#pragma once

#include "scorer_calls.h"

namespace seprog::binding {

struct EditedModelContent {
  std::shared_ptr<Scorer> scorer;
};

class EditedModelWrap : public ScorerHandle<EditedModelWrap, EditedModelContent> {
 public:
  static constexpr const char* kClassName = "EditedModel";
  static constexpr ClassId kClassId = ClassId::EditedModel;
  static const napi_type_tag kTag;
  static Napi::Function define(Napi::Env env);
  using ScorerHandle::ScorerHandle;

  static Napi::Object fromScorer(Napi::Env env, std::shared_ptr<Channel> channel,
                                 std::shared_ptr<Scorer> scorer);
};

}  // namespace seprog::binding
