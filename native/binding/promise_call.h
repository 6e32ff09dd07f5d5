// The one way in which a method becomes a promise: arguments are converted on the JavaScript thread, `run`
// works on the engine thread, `convert` turns its result into JavaScript values back on the JavaScript
// thread.
#pragma once

#include <napi.h>

#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "call_options.h"
#include "channel.h"
#include "convert.h"
#include "translate_error.h"

namespace seprog::binding {

template <typename Run, typename Convert>
class PromiseCall final : public Call {
 public:
  PromiseCall(Napi::Env env, const CallOptions& options, Run run, Convert convert)
      : Call(options.cancel, options.measure),
        deferred_(Napi::Promise::Deferred::New(env)),
        run_(std::move(run)),
        convert_(std::move(convert)) {}

  Napi::Value promise() const { return deferred_.Promise(); }

  void settle(Napi::Env env) override {
    if (failure()) {
      deferred_.Reject(toJsError(env, *failure()).Value());
      return;
    }
    try {
      Napi::Value value = convert_(env, *result_);
      if (measurement() && value.IsObject()) {
        value.As<Napi::Object>().Set("measurement", fromMeasurement(env, *measurement()));
      }
      deferred_.Resolve(value);
    } catch (const Napi::Error& error) {
      deferred_.Reject(error.Value());
    } catch (...) {
      deferred_.Reject(toJsError(env, currentFailure()).Value());
    }
  }

 protected:
  void perform(JobContext& context) override {
    if constexpr (std::is_void_v<Result>) {
      run_(context);
      result_.emplace();
    } else {
      result_.emplace(run_(context));
    }
  }

 private:
  using Result = std::invoke_result_t<Run&, JobContext&>;
  using Stored = std::conditional_t<std::is_void_v<Result>, std::monostate, Result>;

  Napi::Promise::Deferred deferred_;
  Run run_;
  Convert convert_;
  std::optional<Stored> result_;
};

/// Throws DISPOSED when the engine is closed.
template <typename Run, typename Convert>
Napi::Value start(Napi::Env env, Channel& channel, const CallOptions& options, Run run, Convert convert) {
  channel.requireOpen();
  auto call = std::make_unique<PromiseCall<Run, Convert>>(env, options, std::move(run), std::move(convert));
  const Napi::Value promise = call->promise();
  channel.submit(std::move(call));
  return promise;
}

/// For work without a result.
template <typename Run>
Napi::Value start(Napi::Env env, Channel& channel, const CallOptions& options, Run run) {
  return start(env, channel, options, std::move(run),
               [](Napi::Env resultEnv, std::monostate) { return resultEnv.Undefined(); });
}

}  // namespace seprog::binding
