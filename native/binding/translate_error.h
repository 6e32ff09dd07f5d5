// Exceptions of the core as JavaScript errors with a `code`, and the guards that keep any exception from
// crossing.
#pragma once

#include <napi.h>

#include <utility>

#include "core/engine/failure.h"

namespace seprog::binding {

Napi::Error toJsError(Napi::Env env, const Failure& failure);

/// For a synchronous function: what it throws becomes a coded JavaScript exception.
template <typename Body>
auto guarded(Napi::Env env, Body&& body) -> decltype(body()) {
  try {
    return std::forward<Body>(body)();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw toJsError(env, currentFailure());
  }
}

Napi::Value rejected(Napi::Env env, const Napi::Error& error);

/// For a function that returns a promise: what it throws becomes a rejection, never an exception.
template <typename Body>
Napi::Value promised(Napi::Env env, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const Napi::Error& error) {
    return rejected(env, error);
  } catch (...) {
    return rejected(env, toJsError(env, currentFailure()));
  }
}

}  // namespace seprog::binding
