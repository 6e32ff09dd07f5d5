// What every call takes, and how a method reads what only it takes.
#pragma once

#include <napi.h>

#include <functional>

#include "core/engine/job.h"
#include "core/options.h"

namespace seprog::binding {

struct CallOptions {
  CancelFlag cancel;
  bool measure = false;
};

/// `readOwn` reads the keys of this method; a key that nobody reads is CONFIG_INVALID. `value` may be
/// undefined.
CallOptions readCallOptions(const Napi::Value& value, const std::function<void(Options&)>& readOwn = nullptr);

}  // namespace seprog::binding
