// The allocator's peak against a count that shares nothing with it: libtorch's own allocator, whose calls of
// posix_memalign and free are counted here, in front of the C library.
#include <ATen/ATen.h>
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "core/editors/editor.h"
#include "core/instrument/meter.h"
#include "core/tests/tiny.h"

extern "C" void* __libc_memalign(size_t alignment, size_t bytes);
extern "C" void __libc_free(void* block);

namespace {

/// Blocks by address in a table of its own: what it counts must not allocate.
class HeapCount {
 public:
  void add(void* block, size_t bytes) {
    const std::lock_guard lock(mutex_);
    size_t at = home(block);
    while (slots_[at].block != nullptr) at = next(at);
    slots_[at] = {block, bytes};
    live_ += static_cast<int64_t>(bytes);
    peak_ = std::max(peak_, live_);
  }
  void remove(void* block) {
    const std::lock_guard lock(mutex_);
    size_t at = home(block);
    while (slots_[at].block != block) {
      if (slots_[at].block == nullptr) return;  // not one of those that are counted
      at = next(at);
    }
    live_ -= static_cast<int64_t>(slots_[at].bytes);
    for (size_t behind = next(at); slots_[behind].block != nullptr; behind = next(behind)) {
      const size_t wanted = home(slots_[behind].block);
      const bool mayMove = at <= behind ? wanted <= at || wanted > behind : wanted <= at && wanted > behind;
      if (!mayMove) continue;
      slots_[at] = slots_[behind];
      at = behind;
    }
    slots_[at] = {};
  }
  /// The highest since the last call, and what is live now.
  std::pair<int64_t, int64_t> take() {
    const std::lock_guard lock(mutex_);
    return {std::exchange(peak_, live_), live_};
  }

 private:
  struct Slot {
    void* block;
    size_t bytes;
  };
  static constexpr size_t kSlots = size_t{1} << 16;
  static size_t home(void* block) {
    return (reinterpret_cast<uintptr_t>(block) / 64 * 0x9e3779b97f4a7c15ULL) >> 48;
  }
  static size_t next(size_t at) { return (at + 1) % kSlots; }

  std::mutex mutex_;
  std::array<Slot, kSlots> slots_{};
  int64_t live_ = 0;
  int64_t peak_ = 0;
};

constinit HeapCount heap;
constexpr size_t kTensorAlignment = 64;  // libtorch's

}  // namespace

// Seen by libtorch only where it is exported.
#define SEPROG_INTERPOSED extern "C" __attribute__((visibility("default")))

SEPROG_INTERPOSED int posix_memalign(void** block, size_t alignment, size_t bytes) noexcept {
  *block = __libc_memalign(alignment, bytes);
  if (*block == nullptr) return ENOMEM;
  if (alignment == kTensorAlignment) heap.add(*block, bytes);
  return 0;
}

SEPROG_INTERPOSED void free(void* block) noexcept {
  if (block != nullptr) heap.remove(block);
  __libc_free(block);
}

namespace seprog {
namespace {

void useAllocator(c10::Allocator& allocator) {
  constexpr uint8_t kPriority = 100;  // that of the installed one: the last call counts
  c10::SetAllocator(c10::DeviceType::CPU, &allocator, kPriority);
}

c10::Allocator& countingAllocator() {
  static c10::Allocator& allocator = [&]() -> c10::Allocator& {
    installCountingAllocator();
    return *c10::GetAllocator(c10::DeviceType::CPU);
  }();
  return allocator;
}

const Json kConfig =
    tiny::with(tiny::config(), R"({"d_model": 64, "d_kv": 16, "d_ff": 160, "num_heads": 4})");

/// What the second training step holds beyond what was there before it, as `count` tells it of the step it is given.
template <typename Count>
int64_t growthOfStep(const std::string& spec, c10::Allocator& allocator, Count&& count) {
  useAllocator(allocator);
  const auto base = std::make_shared<const Model>(createModel(kConfig, 1, at::kCPU));
  const auto editor = makeEditor(Json::parse(spec), base);
  const EpisodeBatch batch = tiny::episodes(1, 1, 32);
  JobContext quiet;
  editor->trainStep(batch, 1e-4, quiet);
  return count([&](JobContext& context) { editor->trainStep(batch, 1e-4, context); });
}

void expectSamePeak(const std::string& spec) {
  const int64_t independent = growthOfStep(spec, *c10::GetDefaultCPUAllocator(), [](auto&& step) {
    JobContext quiet;
    const int64_t before = heap.take().second;
    step(quiet);
    return heap.take().first - before;
  });
  const int64_t ours = growthOfStep(spec, countingAllocator(), [](auto&& step) {
    Meter meter{c10::Device(c10::DeviceType::CPU)};
    JobContext context(nullptr, &meter);
    step(context);
    const Measurement measurement = meter.finish();
    return measurement.total.peakBytes - measurement.total.baselineBytes;
  });
  ::testing::Test::RecordProperty("independentBytes", std::to_string(independent));
  ::testing::Test::RecordProperty("allocatorBytes", std::to_string(ours));
  EXPECT_GT(independent, 1 << 20);
  EXPECT_NEAR(static_cast<double>(ours), static_cast<double>(independent),
              0.01 * static_cast<double>(independent));
}

TEST(HeapPeak, OfAStepOfSeprogAgreesWithTheAllocators) {
  expectSamePeak(R"({"kind": "seprog", "seed": 3, "promptLength": 8, "hiddenWidth": 48})");
}

TEST(HeapPeak, OfAStepOfMendAgreesWithTheAllocators) {
  expectSamePeak(R"({"kind": "mend", "seed": 3, "rank": 24})");
}

TEST(HeapPeak, OfAStepOfEnnAgreesWithTheAllocators) { expectSamePeak(R"({"kind": "enn"})"); }

TEST(HeapPeak, CountSeesAKnownPattern) {
  useAllocator(*c10::GetDefaultCPUAllocator());
  const int64_t before = heap.take().second;
  {
    const at::Tensor first = at::empty({1000}, at::kFloat);
    { const at::Tensor second = at::empty({3, 7}, at::kDouble); }
    const at::Tensor third = at::empty({5}, at::kByte);
  }
  const auto [peak, live] = heap.take();
  EXPECT_EQ(peak - before, 4000 + 168);
  EXPECT_EQ(live, before);
}

}  // namespace
}  // namespace seprog
