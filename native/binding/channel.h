// One engine as its JavaScript environment holds it: calls go in on the JavaScript thread, settled promises
// come out there. All members but completed() are used on the JavaScript thread.
#pragma once

#include <napi.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_set>
#include <vector>

#include "core/engine/engine.h"
#include "core/instrument/device_memory.h"

namespace seprog::binding {

class HandleBase;

/// Work whose end JavaScript hears of.
class Call : public Work {
 public:
  using Work::Work;
  /// On the JavaScript thread, after the work ran or was refused.
  virtual void settle(Napi::Env env) = 0;
};

class Channel : public std::enable_shared_from_this<Channel> {
 public:
  static std::shared_ptr<Channel> open(Napi::Env env, c10::Device device, int threads, bool deterministic);
  ~Channel();

  const Engine& engine() const { return engine_; }
  bool closed() const { return closed_; }
  /// Throws DISPOSED.
  void requireOpen() const;

  /// Waits a few microseconds for the end of a call that begins at once: for a short one that saves this
  /// thread from falling asleep and being woken, which costs several times more.
  void submit(std::unique_ptr<Call> call);

  /// Resolves when nothing of this engine is left. Calling it again gives a promise of the same moment.
  Napi::Value close();

  /// For the end of the environment: stops the engine, waits for the running call to notice, settles nothing.
  void shutdown() noexcept;

  /// When the engine object and all handles are collected and nothing is pending, the engine ends by itself.
  void attach(HandleBase* handle);
  void detach(HandleBase* handle) noexcept;
  void engineObjectCollected() noexcept;

  /// Gives up a share in something native on the engine thread. `large` also empties the allocator's cache,
  /// for what a model leaves there is of no use to what comes next. The promise of dispose() never rejects.
  Napi::Value dispose(std::shared_ptr<void> share, bool large);
  /// The same for finalizers: nobody waits for it.
  void release(std::shared_ptr<void> share, bool large) noexcept;

  /// On the engine thread: the peaks that memoryStats reports.
  PeakWindow& memoryPeaks();

 private:
  class LastCall;
  class ReleaseCall;

  Channel(Napi::Env env, c10::Device device, int threads, bool deterministic);
  void completed(std::unique_ptr<Work> work);
  static void onCompletion(napi_env env, napi_value callback, void* context, void* data);
  static void onEnvironmentEnd(void* channel);
  void enqueue(std::unique_ptr<Call> call);
  void drain(Napi::Env env);
  /// Keeps the event loop alive exactly while calls are pending.
  void updateReference() noexcept;
  void finishClose();
  void stopEngine() noexcept;
  void abandonIfUnused() noexcept;
  /// Joins the thread and gives up the function and the hook; after it nothing calls back.
  void disconnect() noexcept;

  const napi_env env_;
  napi_threadsafe_function function_ = nullptr;
  std::unordered_set<HandleBase*> handles_;
  std::vector<Napi::Promise::Deferred> closing_;
  size_t pending_ = 0;
  bool referenced_ = false;
  int polledInARow_ = 0;
  int unpolled_ = 0;  // how many calls are not polled for
  bool closed_ = false;
  bool connected_ = false;
  bool engineObjectAlive_ = true;
  std::unique_ptr<PeakWindow> memoryPeaks_;  // engine thread

  std::mutex mutex_;
  std::vector<std::unique_ptr<Call>> done_;
  bool announced_ = false;
  bool polled_ = false;  // submit() looks itself: nothing is to be announced
  bool environmentEnds_ = false;
  std::atomic<bool> anyDone_ = false;

  Engine engine_;  // last: its thread ends before what it uses is gone
};

}  // namespace seprog::binding
