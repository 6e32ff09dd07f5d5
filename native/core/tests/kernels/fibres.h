// CUDA on a CPU, for tests: fibres stand for the threads of a block, so that a kernel's source compiles with g++ and runs
// under its sanitizers. Fibres change places only at barriers and shuffles; the schedule says who runs next. Found: a
// missing __syncthreads (unfair schedules), a barrier that a part of the threads reaches, accesses out of bounds. Not
// covered: the order of memory accesses between two barriers, accuracy of the GPU's own functions, launch limits.
#pragma once

#include <ucontext.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

namespace fibres {

/// Fair: any thread that can run goes next. Unfair: one warp runs as far as it can before another one begins.
enum class Schedule { Fair, Unfair };

struct Place {
  unsigned x = 0, y = 0, z = 0;
};

}  // namespace fibres

inline fibres::Place threadIdx, blockIdx, blockDim, gridDim;

namespace fibres {

constexpr unsigned kWarpSize = 32;
constexpr size_t kStackBytes = 256 << 10;

class Block {
 public:
  Block(unsigned threads, Schedule schedule, uint64_t seed)
      : schedule_(schedule), random_(seed), fibres_(threads) {
    for (unsigned t = 0; t < threads; ++t) fibres_[t].stack = std::make_unique<char[]>(kStackBytes);
  }

  void run(const std::function<void()>& kernel) {
    kernel_ = &kernel;
    active_ = this;
    for (Fibre& fibre : fibres_) {
      fibre.state = State::Ready;
      getcontext(&fibre.context);
      fibre.context.uc_stack = {fibre.stack.get(), 0, kStackBytes};
      fibre.context.uc_link = &scheduler_;
      makecontext(&fibre.context, &Block::enter, 0);
    }
    warp_ = 0;
    while (const int next = pick()) {
      now_ = static_cast<unsigned>(next - 1);
      threadIdx.x = now_;
      swapcontext(&scheduler_, &fibres_[now_].context);
    }
  }

  static Block& active() { return *active_; }

  void atBarrier(const char* file, int line) { wait(State::AtBarrier, {file, line}); }

  template <typename T>
  T exchange(T value, unsigned distance) {
    Fibre& own = fibres_[now_];
    const unsigned side = own.turn++ % 2;  // the slower lanes may still read the other side
    static_assert(sizeof(T) <= sizeof own.offered[0]);
    std::memcpy(own.offered[side], &value, sizeof value);
    wait(State::AtShuffle, {nullptr, 0});
    T other;
    std::memcpy(&other, fibres_[now_ ^ distance].offered[side], sizeof other);
    return other;
  }

 private:
  enum class State { Ready, AtBarrier, AtShuffle, Done };
  struct Site {
    const char* file;
    int line;
    bool operator==(const Site& other) const { return file == other.file && line == other.line; }
  };
  struct Fibre {
    std::unique_ptr<char[]> stack;
    ucontext_t context;
    State state = State::Done;
    Site site{};
    unsigned turn = 0;
    char offered[2][8];
  };

  static void enter() {
    Block& block = *active_;
    (*block.kernel_)();
    block.fibres_[block.now_].state = State::Done;
  }

  void wait(State state, Site site) {
    const unsigned own = now_;
    fibres_[own].state = state;
    fibres_[own].site = site;
    swapcontext(&fibres_[own].context, &scheduler_);
    now_ = own;
  }

  /// One more than the thread that runs next; 0 when all are done.
  int pick() {
    for (;;) {
      releaseShuffles();
      std::vector<unsigned> ready = readyOnes();
      if (!ready.empty()) return static_cast<int>(ready[random_() % ready.size()]) + 1;
      bool isDone = true;
      for (const Fibre& fibre : fibres_) isDone = isDone && fibre.state == State::Done;
      if (isDone) return 0;
      releaseBarrier();
    }
  }

  std::vector<unsigned> readyOnes() {
    const auto warps = static_cast<unsigned>(fibres_.size()) / kWarpSize;
    std::vector<unsigned> ready;
    if (schedule_ == Schedule::Fair) {
      for (unsigned t = 0; t < fibres_.size(); ++t) {
        if (fibres_[t].state == State::Ready) ready.push_back(t);
      }
      return ready;
    }
    for (unsigned tried = 0; tried < warps && ready.empty(); ++tried) {
      for (unsigned t = warp_ * kWarpSize; t < (warp_ + 1) * kWarpSize; ++t) {
        if (fibres_[t].state == State::Ready) ready.push_back(t);
      }
      if (ready.empty()) warp_ = (warp_ + 1 + random_() % warps) % warps;
    }
    for (unsigned t = 0; t < fibres_.size() && ready.empty(); ++t) {
      if (fibres_[t].state == State::Ready) ready.push_back(t), warp_ = t / kWarpSize;
    }
    return ready;
  }

  void releaseShuffles() {
    for (size_t first = 0; first < fibres_.size(); first += kWarpSize) {
      bool all = true;
      for (size_t t = first; t < first + kWarpSize; ++t) all = all && fibres_[t].state == State::AtShuffle;
      for (size_t t = first; t < first + kWarpSize && all; ++t) fibres_[t].state = State::Ready;
    }
  }

  void releaseBarrier() {
    for (const Fibre& fibre : fibres_) {
      if (fibre.state != State::AtBarrier)
        throw std::logic_error("a barrier is reached by a part of the threads");
      if (!(fibre.site == fibres_.front().site)) throw std::logic_error("threads wait at different barriers");
    }
    for (Fibre& fibre : fibres_) fibre.state = State::Ready;
  }

  static inline Block* active_ = nullptr;
  Schedule schedule_;
  std::mt19937_64 random_;
  std::vector<Fibre> fibres_;
  ucontext_t scheduler_;
  const std::function<void()>* kernel_ = nullptr;
  unsigned now_ = 0, warp_ = 0;
};

/// kernel<<<blocks, threads>>>: the blocks one after the other.
inline void launch(unsigned blocks, unsigned threads, Schedule schedule, uint64_t seed,
                   const std::function<void()>& kernel) {
  Block block(threads, schedule, seed);
  blockDim.x = threads;
  gridDim.x = blocks;
  for (unsigned b = 0; b < blocks; ++b) {
    blockIdx.x = b;
    block.run(kernel);
  }
}

}  // namespace fibres

#define __global__
#define __device__
#define __shared__ static
#define __syncthreads() fibres::Block::active().atBarrier(__FILE__, __LINE__)

template <typename T>
T __shfl_xor_sync(unsigned, T value, int distance) {
  return fibres::Block::active().exchange(value, static_cast<unsigned>(distance));
}

inline float __int_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }

struct Half {
  _Float16 value;
};
inline float toFloat(Half x) { return static_cast<float>(x.value); }
inline void store(Half* place, float x) { place->value = static_cast<_Float16>(x); }
