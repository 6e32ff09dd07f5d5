#include "fine_tuner_wrap.h"

#include "model_wrap.h"
#include "train_options.h"

namespace seprog::binding {

const napi_type_tag FineTunerWrap::kTag = {0x5e9a0c11b0e84d01, 0xa1c6e7f0d3b24906};

Napi::Function FineTunerWrap::define(Napi::Env env) {
  return DefineClass(
      env, kClassName,
      {InstanceMethod("trainStep", &FineTunerWrap::trainStep),
       InstanceMethod("validate", &FineTunerWrap::validate),
       InstanceMethod("snapshot", &FineTunerWrap::snapshot), InstanceMethod("save", &FineTunerWrap::save),
       InstanceMethod("restore", &FineTunerWrap::restore), InstanceMethod("dispose", &FineTunerWrap::dispose),
       InstanceAccessor("disposed", &FineTunerWrap::disposed, nullptr)});
}

Napi::Value FineTunerWrap::trainStep(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const auto tuner = live();
    auto batch = toPairRows(info[0], "batch");
    const auto [options, learningRate] = readStepOptions(info[1]);
    return start(
        info.Env(), channel(), options,
        [tuner, batch = std::move(batch), learningRate = learningRate](JobContext& context) {
          return tuner->trainStep(batch, learningRate, context);
        },
        &fromFigures);
  });
}

Napi::Value FineTunerWrap::validate(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const auto tuner = live();
    auto batch = toPairRows(info[0], "batch");
    return start(
        info.Env(), channel(), readCallOptions(info[1]),
        [tuner, batch = std::move(batch)](JobContext& context) { return tuner->validate(batch, context); },
        &fromFigures);
  });
}

Napi::Value FineTunerWrap::snapshot(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    return start(
        info.Env(), channel(), readCallOptions(info[0]),
        [tuner = live()](JobContext&) { return ModelWrap::describeContent(tuner->snapshot()); },
        [channel = sharedChannel()](Napi::Env env, std::shared_ptr<ModelContent>& content) {
          return ModelWrap::fromContent(env, channel, std::move(content));
        });
  });
}

Napi::Value FineTunerWrap::save(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const auto tuner = live();
    const std::string directory = toText(info[0], "directory");
    const auto [options, optimizer] = readSaveOptions(info[1]);
    return start(info.Env(), channel(), options, [tuner, directory, optimizer = optimizer](JobContext&) {
      tuner->save(directory, optimizer);
    });
  });
}

Napi::Value FineTunerWrap::restore(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const auto tuner = live();
    const std::string directory = toText(info[0], "directory");
    const auto [options, optimizer] = readSaveOptions(info[1]);
    return start(info.Env(), channel(), options, [tuner, directory, optimizer = optimizer](JobContext&) {
      tuner->restore(directory, optimizer);
    });
  });
}

}  // namespace seprog::binding
