#include "model_wrap.h"

#include <array>
#include <cstdio>

namespace seprog::binding {
namespace {

std::string hexadecimal(uint64_t value) {
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(value));
  return text.data();
}

/// Of what answers: a rounded model is another one than its source, though editors of either fit both.
std::string checksumOf(const Model& model) {
  const std::string source = hexadecimal(model.weights.checksum());
  return model.dtype == BaseDtype::Fp32 ? source : source + "-" + dtypeName(model.dtype);
}

const char* nameOf(AnswerKind kind) {
  switch (kind) {
    case AnswerKind::Text:
      return "text";
    case AnswerKind::Continuation:
      return "continuation";
    case AnswerKind::Label:
      return "label";
  }
  return "text";
}

}  // namespace

const napi_type_tag ModelWrap::kTag = {0x5e9a0c11b0e84d01, 0xa1c6e7f0d3b24903};

Napi::Function ModelWrap::define(Napi::Env env) {
  return DefineClass(
      env, kClassName,
      {InstanceMethod("score", &ModelWrap::score), InstanceMethod("compare", &ModelWrap::compare),
       InstanceMethod("generate", &ModelWrap::generate), InstanceMethod("answer", &ModelWrap::answer),
       InstanceMethod("save", &ModelWrap::save), InstanceMethod("dispose", &ModelWrap::dispose),
       InstanceAccessor("disposed", &ModelWrap::disposed, nullptr),
       InstanceAccessor("info", &ModelWrap::info, nullptr)});
}

ModelWrap::ModelWrap(const Napi::CallbackInfo& info) : ScorerHandle(info) {
  const auto content = live();
  const Architecture& architecture = *content->model->architecture;
  auto object = Napi::Object::New(info.Env());
  object.Set("family", architecture.family());
  object.Set("parameterCount", static_cast<double>(content->parameterCount));
  object.Set("checksum", content->checksum);
  object.Set("dtype", dtypeName(content->model->dtype));
  object.Set("vocabulary", static_cast<double>(architecture.vocabulary()));
  object.Set("targetVocabulary", static_cast<double>(architecture.targetVocabulary()));
  object.Set("answers", nameOf(architecture.answerKind()));
  object.Set("padId", static_cast<double>(architecture.padId()));
  object.Set("startId", static_cast<double>(architecture.startId()));
  object.Set("stopId", static_cast<double>(architecture.stopId()));
  object.Freeze();
  info_ = Napi::Persistent(object);
}

std::shared_ptr<ModelContent> ModelWrap::describeContent(Model model) {
  model.encodings = std::make_shared<EncodingMemo>();
  const auto shared = std::make_shared<const Model>(std::move(model));
  return std::make_shared<ModelContent>(ModelContent{.model = shared,
                                                     .scorer = baseScorer(shared),
                                                     .checksum = checksumOf(*shared),
                                                     .parameterCount = shared->weights.parameterCount()});
}

Napi::Object ModelWrap::fromContent(Napi::Env env, std::shared_ptr<Channel> channel,
                                    std::shared_ptr<ModelContent> content) {
  const int64_t bytes = content->parameterCount * int64_t{sizeof(float)};
  return make(env, std::move(channel), std::move(content), bytes);
}

Napi::Value ModelWrap::info(const Napi::CallbackInfo&) { return info_.Value(); }

Napi::Value ModelWrap::save(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const auto model = live()->model;
    const std::string directory = toText(info[0], "directory");
    std::string dtype;
    const CallOptions options = readCallOptions(info[1], [&](Options& own) {
      dtype = own.choice("dtype", {"fp32", "fp16", "bf16"}, "fp32");
    });
    return start(info.Env(), channel(), options,
                 [model, directory, dtype](JobContext&) { saveModel(*model, directory, dtype); });
  });
}

}  // namespace seprog::binding
