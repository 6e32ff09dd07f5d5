// The methods that every scorer has, base model or edited.
#pragma once

#include <napi.h>

#include <memory>

#include "core/editors/editor.h"
#include "handle.h"

namespace seprog::binding {

/// The scorer behind a Model or EditedModel of this engine; throws CONFIG_INVALID for anything else,
/// DISPOSED.
std::shared_ptr<Scorer> toScorer(const Napi::Value& value, const Channel& channel, const char* path);

Napi::Value startScore(const Napi::CallbackInfo& info, Channel& channel, std::shared_ptr<Scorer> scorer);
Napi::Value startCompare(const Napi::CallbackInfo& info, Channel& channel, std::shared_ptr<Scorer> scorer);
Napi::Value startGenerate(const Napi::CallbackInfo& info, Channel& channel, std::shared_ptr<Scorer> scorer);
Napi::Value startAnswer(const Napi::CallbackInfo& info, Channel& channel, std::shared_ptr<Scorer> scorer);

/// A handle whose content has a `scorer`.
template <typename Self, typename Content>
class ScorerHandle : public Handle<Self, Content> {
 public:
  using Handle<Self, Content>::Handle;

 protected:
  Napi::Value score(const Napi::CallbackInfo& info) { return run(info, &startScore); }
  Napi::Value compare(const Napi::CallbackInfo& info) { return run(info, &startCompare); }
  Napi::Value generate(const Napi::CallbackInfo& info) { return run(info, &startGenerate); }
  Napi::Value answer(const Napi::CallbackInfo& info) { return run(info, &startAnswer); }

 private:
  using Start = Napi::Value (*)(const Napi::CallbackInfo&, Channel&, std::shared_ptr<Scorer>);
  Napi::Value run(const Napi::CallbackInfo& info, Start start) {
    return promised(info.Env(), [&] { return start(info, this->channel(), this->live()->scorer); });
  }
};

}  // namespace seprog::binding
