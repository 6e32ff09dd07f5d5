#include "train_options.h"

#include "core/error.h"

namespace seprog::binding {

StepOptions readStepOptions(const Napi::Value& value, const std::function<void(Options&)>& readOwn) {
  double learningRate = 0;
  CallOptions call = readCallOptions(value, [&](Options& own) {
    learningRate = own.number("learningRate");
    if (readOwn) readOwn(own);
  });
  if (learningRate < 0) {
    fail(ErrorCode::ConfigInvalid,
         "expected 0 or more for `options.learningRate` but received " + std::to_string(learningRate));
  }
  return {std::move(call), learningRate};
}

SaveOptions readSaveOptions(const Napi::Value& value) {
  bool optimizer = false;
  CallOptions call =
      readCallOptions(value, [&](Options& own) { optimizer = own.boolean("optimizer", false); });
  return {std::move(call), optimizer};
}

}  // namespace seprog::binding
