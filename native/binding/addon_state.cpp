#include "addon_state.h"

#include <algorithm>

#include "channel.h"

namespace seprog::binding {

AddonState& AddonState::of(Napi::Env env) { return *env.GetInstanceData<AddonState>(); }

void AddonState::setConstructor(ClassId id, Napi::Function constructor) {
  constructors_[static_cast<size_t>(id)] = Napi::Persistent(constructor);
}

void AddonState::remove(const Channel* channel) {
  std::erase_if(channels_, [&](const std::shared_ptr<Channel>& each) { return each.get() == channel; });
}

void AddonState::shutdown() noexcept {
  // A copy: shutting a channel down takes it out of the list.
  const auto channels = channels_;
  for (const auto& channel : channels) channel->shutdown();
}

}  // namespace seprog::binding
