// Options that the trainables share.
#pragma once

#include <napi.h>

#include "call_options.h"

namespace seprog::binding {

struct StepOptions {
  CallOptions call;
  double learningRate;
};
/// `learningRate` is required, 0 or more. `readOwn` reads further keys.
StepOptions readStepOptions(const Napi::Value& value, const std::function<void(Options&)>& readOwn = nullptr);

struct SaveOptions {
  CallOptions call;
  bool optimizer;
};
SaveOptions readSaveOptions(const Napi::Value& value);

}  // namespace seprog::binding
