// The engine: one thread per device that makes every libtorch call, in the order in which work was submitted.
// Knows nothing of who submits: what is done is handed to a callback.
#pragma once

#include <c10/core/Device.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "work.h"

namespace seprog {

class Engine {
 public:
  /// Called on the engine thread after each work, and for refused work on the thread that closes.
  using Completion = std::function<void(std::unique_ptr<Work>)>;

  /// `threads` ≥ 1 is the size of the OpenMP team of the engine thread. `deterministic`: see determinism.h.
  Engine(c10::Device device, int threads, Completion completion, bool deterministic = false);
  /// Stops as stop() does.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const c10::Device& device() const { return device_; }
  int threads() const { return threads_; }
  bool deterministic() const { return deterministic_; }
  /// How long its thread has run work that has ended, on any thread.
  std::chrono::nanoseconds busy() const { return busy_.load(std::memory_order_relaxed); }

  /// Never blocks. After close() or stop() the work is refused with DISPOSED. True when the thread is awake
  /// and has nothing else to do: the work is about to begin.
  bool submit(std::unique_ptr<Work> work);

  /// Lets the running work finish, refuses what is queued with DISPOSED, runs `last` and ends the thread.
  void close(std::unique_ptr<Work> last);

  /// For the end of the process or of its environment: sets the flag of the running work, drops what is
  /// queued and joins. Nothing is completed after it returns.
  void stop() noexcept;

 private:
  void serve();
  /// What is wrong with the device, if anything: every work is then refused with it.
  std::optional<Failure> prepareThread() const noexcept;
  /// nullptr: the thread is to end.
  std::unique_ptr<Work> next();
  bool spinForWork() const;

  const c10::Device device_;
  const int threads_;
  const bool deterministic_;
  const bool spins_;
  Completion completion_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Work>> queue_;
  Work* running_ = nullptr;
  bool asleep_ = false;
  bool closed_ = false;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::chrono::nanoseconds> busy_ = std::chrono::nanoseconds(0);  // written by thread_ alone
  std::atomic<bool> attention_ = false;  // set with every change a spinning thread must notice

  std::thread thread_;
};

}  // namespace seprog
