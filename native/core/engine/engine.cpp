#include "engine.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/Parallel.h>
#include <pthread.h>

#include <utility>

#include "../instrument/counting_allocator.h"
#include "../plan/planned_device.h"
#include "../tensor/matmul_backend.h"
#include "cores.h"
#include "determinism.h"

namespace seprog {
namespace {

// A loop that awaits each call comes back within this time; meeting it awake saves the two context switches
// that would otherwise be most of a short call.
constexpr std::chrono::microseconds kSpin{40};

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

Failure closedFailure() {
  return {ErrorCode::Disposed, "expected an open engine but it was closed before this call ran"};
}

void useOneInteropThread() {
  static const bool done = [] {
    try {
      at::set_num_interop_threads(1);
    } catch (const c10::Error&) {
      // Another user of libtorch in this process has started the pool; it is never used here.
    }
    return true;
  }();
  (void)done;
}

}  // namespace

Engine::Engine(c10::Device device, int threads, Completion completion, bool deterministic)
    : device_(device),
      threads_(threads),
      deterministic_(deterministic),
      spins_(usableCores() > 1),
      completion_(std::move(completion)) {
  installCountingAllocator();
  if (deterministic_) beDeterministic(device_);
  thread_ = std::thread([this] { serve(); });
}

Engine::~Engine() { stop(); }

bool Engine::submit(std::unique_ptr<Work> work) {
  {
    std::unique_lock lock(mutex_);
    if (!closed_) {
      const bool asleep = asleep_;
      const bool idle = queue_.empty() && running_ == nullptr;
      queue_.push_back(std::move(work));
      attention_.store(true, std::memory_order_release);
      lock.unlock();
      if (asleep) wake_.notify_one();
      return spins_ && idle && !asleep;
    }
  }
  work->refuse(closedFailure());
  completion_(std::move(work));
  return false;
}

void Engine::close(std::unique_ptr<Work> last) {
  std::deque<std::unique_ptr<Work>> refused;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    closed_ = true;
    refused.swap(queue_);
    queue_.push_back(std::move(last));
    attention_.store(true, std::memory_order_release);
  }
  wake_.notify_one();
  for (auto& work : refused) {
    work->refuse(closedFailure());
    completion_(std::move(work));
  }
}

void Engine::stop() noexcept {
  std::deque<std::unique_ptr<Work>> dropped;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    stopping_ = true;
    dropped.swap(queue_);
    if (running_) running_->cancel();
    attention_.store(true, std::memory_order_release);
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Engine::serve() {
  const std::optional<Failure> unusable = prepareThread();
  while (std::unique_ptr<Work> work = next()) {
    if (unusable) {
      work->refuse(*unusable);
    } else {
      const auto startedAt = std::chrono::steady_clock::now();
      work->run(device_);
      busy_.store(busy() + (std::chrono::steady_clock::now() - startedAt), std::memory_order_relaxed);
    }
    {
      std::lock_guard lock(mutex_);
      running_ = nullptr;
    }
    if (!stopping_) completion_(std::move(work));
  }
}

std::optional<Failure> Engine::prepareThread() const noexcept {
  try {
    pthread_setname_np(pthread_self(), "seprog-engine");
    useOneInteropThread();
    if (isPlanned(device_)) {
      planOnThisThread(device_);
    } else if (!device_.is_cpu()) {
      at::accelerator::setDeviceIndex(device_.index());
    }
    // Asking first makes libtorch run its own lazy set-up of this thread, which would otherwise undo ours
    // later.
    at::get_num_threads();
    at::set_num_threads(threads_);
    if (device_.is_cpu()) {
      chooseMatmulBackend(deterministic_ ? MatmulChoice::Fixed : MatmulChoice::ByProbe);
    }
    return std::nullopt;
  } catch (...) {
    return currentFailure();
  }
}

std::unique_ptr<Work> Engine::next() {
  for (;;) {
    {
      std::lock_guard lock(mutex_);
      if (stopping_) return nullptr;
      if (!queue_.empty()) {
        auto work = std::move(queue_.front());
        queue_.pop_front();
        running_ = work.get();
        return work;
      }
      if (closed_) return nullptr;
      attention_.store(false, std::memory_order_relaxed);
    }
    if (spins_ && spinForWork()) continue;
    std::unique_lock lock(mutex_);
    asleep_ = true;
    wake_.wait(lock, [this] { return attention_.load(std::memory_order_relaxed); });
    asleep_ = false;
  }
}

bool Engine::spinForWork() const {
  const auto until = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 16; ++i) {
      if (attention_.load(std::memory_order_acquire)) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() < until);
  return false;
}

}  // namespace seprog
