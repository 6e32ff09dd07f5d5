#include "edited_model_wrap.h"

namespace seprog::binding {

const napi_type_tag EditedModelWrap::kTag = {0x5e9a0c11b0e84d01, 0xa1c6e7f0d3b24902};

Napi::Function EditedModelWrap::define(Napi::Env env) {
  return DefineClass(
      env, kClassName,
      {InstanceMethod("score", &EditedModelWrap::score), InstanceMethod("compare", &EditedModelWrap::compare),
       InstanceMethod("generate", &EditedModelWrap::generate),
       InstanceMethod("answer", &EditedModelWrap::answer),
       InstanceMethod("dispose", &EditedModelWrap::dispose),
       InstanceAccessor("disposed", &EditedModelWrap::disposed, nullptr)});
}

Napi::Object EditedModelWrap::fromScorer(Napi::Env env, std::shared_ptr<Channel> channel,
                                         std::shared_ptr<Scorer> scorer) {
  return make(env, std::move(channel),
              std::make_shared<EditedModelContent>(EditedModelContent{std::move(scorer)}));
}

}  // namespace seprog::binding
