// What one JavaScript environment (the main thread or a worker) knows of the addon. There is no state beside
// it but the process's allocator.
#pragma once

#include <napi.h>

#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "core/error.h"

namespace seprog::binding {

class Channel;

enum class ClassId { Model, EditedModel, Editor, FineTuner, EditMemory, Count };

class AddonState {
 public:
  static AddonState& of(Napi::Env env);

  void setConstructor(ClassId id, Napi::Function constructor);

  /// Makes an object of a class that JavaScript cannot construct. `Seed` is what its constructor takes with
  /// takeSeed().
  template <typename Seed>
  Napi::Object construct(ClassId id, Seed& seed) {
    seed_ = &seed;
    Napi::Object object = constructors_[static_cast<size_t>(id)].New({});
    return object;
  }

  /// Throws UNSUPPORTED when JavaScript called the constructor itself.
  template <typename Seed>
  Seed& takeSeed(const char* className) {
    auto* seed = static_cast<Seed*>(std::exchange(seed_, nullptr));
    if (!seed) {
      fail(ErrorCode::Unsupported, std::string("expected a ") + className +
                                       " from a method of an engine but received a call of its constructor");
    }
    return *seed;
  }

  void add(std::shared_ptr<Channel> channel) { channels_.push_back(std::move(channel)); }
  void remove(const Channel* channel);
  /// Stops every engine of this environment.
  void shutdown() noexcept;

 private:
  std::array<Napi::FunctionReference, static_cast<size_t>(ClassId::Count)> constructors_;
  std::vector<std::shared_ptr<Channel>> channels_;
  void* seed_ = nullptr;
};

}  // namespace seprog::binding
