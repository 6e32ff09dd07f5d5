// What every call takes, and how a method reads what only it takes.
#pragma once

#include <napi.h>

#include <functional>
#include <string>

#include "core/engine/job.h"
#include "core/instrument/meter.h"
#include "core/options.h"

namespace seprog::binding {

struct CallOptions {
  CancelFlag cancel;
  MeasureLevel measure = MeasureLevel::Nothing;
};

/// Takes a member that is no plain data; false: it is none of its keys.
using TakeMember = std::function<bool(const std::string& key, const Napi::Value& member)>;

/// `readOwn` reads the keys of this method, `take` those that are no plain data; a key that nobody reads is
/// CONFIG_INVALID. `value` may be undefined.
CallOptions readCallOptions(const Napi::Value& value, const std::function<void(Options&)>& readOwn = nullptr,
                            const TakeMember& take = nullptr);

}  // namespace seprog::binding
