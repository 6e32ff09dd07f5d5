// Roles must agree with a known pattern to the byte, at the peak of every window.
#include "core/instrument/memory_role.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <numeric>
#include <optional>
#include <thread>

#include "core/instrument/device_memory.h"
#include "core/instrument/memory_trace.h"

namespace seprog {
namespace {

DeviceMemory& cpuMemory() {
  installCountingAllocator();
  return DeviceMemory::of(c10::Device(c10::DeviceType::CPU));
}

at::Tensor bytes(int64_t count) { return at::empty({count}, at::kByte); }

at::Tensor bytes(int64_t count, MemoryRole role) {
  const RoleScope scope(role);
  return bytes(count);
}

int64_t sum(const BytesByRole& roles) { return std::accumulate(roles.begin(), roles.end(), int64_t{0}); }

/// What a window's peak holds of a role beyond what the process held when the window began.
class Window {
 public:
  Window() : before_(*cpuMemory().counts().roles), window_(cpuMemory()) {}

  int64_t atPeak(MemoryRole role) {
    const MemoryCounts counts = window_.read();
    EXPECT_EQ(sum(*counts.rolesAtPeak), counts.peakBytes);
    EXPECT_EQ(sum(*counts.roles), counts.allocatedBytes);
    const auto index = static_cast<size_t>(role);
    return (*counts.rolesAtPeak)[index] - before_[index];
  }

 private:
  BytesByRole before_;
  PeakWindow window_;
};

TEST(MemoryRole, IsTheInnermostScopesElseWhatTheGraphSays) {
  {
    const at::NoGradGuard noGrad;
    EXPECT_EQ(currentMemoryRole(), MemoryRole::Workspace);
    EXPECT_EQ(RoleScope::orOuter(MemoryRole::Weights), MemoryRole::Weights);
    const RoleScope editor(MemoryRole::Editor);
    EXPECT_EQ(RoleScope::orOuter(MemoryRole::Weights), MemoryRole::Editor);
    {
      const RoleScope optimizer(MemoryRole::Optimizer);
      EXPECT_EQ(currentMemoryRole(), MemoryRole::Optimizer);
    }
    EXPECT_EQ(currentMemoryRole(), MemoryRole::Editor);
    std::thread([] { EXPECT_EQ(currentMemoryRole(), MemoryRole::Activations); }).join();
  }
  EXPECT_EQ(currentMemoryRole(), MemoryRole::Activations);
}

TEST(MemoryRole, PeakIsMadeUpOfWhatWasLiveThenToTheByte) {
  const at::NoGradGuard noGrad;
  Window window;
  const at::Tensor weights = bytes(1000, MemoryRole::Weights);
  {
    const at::Tensor gradients = bytes(300, MemoryRole::Gradients);
    const at::Tensor workspace = bytes(77);
    const at::AutoGradMode recorded(true);
    const at::Tensor activations = bytes(50);
  }
  const at::Tensor later = bytes(400, MemoryRole::Optimizer);  // less than was there
  EXPECT_EQ(window.atPeak(MemoryRole::Weights), 1000);
  EXPECT_EQ(window.atPeak(MemoryRole::Gradients), 300);
  EXPECT_EQ(window.atPeak(MemoryRole::Workspace), 77);
  EXPECT_EQ(window.atPeak(MemoryRole::Activations), 50);
  EXPECT_EQ(window.atPeak(MemoryRole::Optimizer), 0);
}

TEST(MemoryRole, BlockKeepsItsRoleWhereverItIsFreed) {
  const at::NoGradGuard noGrad;
  const auto index = static_cast<size_t>(MemoryRole::Optimizer);
  const int64_t before = (*cpuMemory().counts().roles)[index];
  at::Tensor moments = bytes(640, MemoryRole::Optimizer);
  EXPECT_EQ((*cpuMemory().counts().roles)[index] - before, 640);
  {
    const RoleScope other(MemoryRole::Gradients);
    moments.reset();
  }
  EXPECT_EQ((*cpuMemory().counts().roles)[index], before);
}

TEST(MemoryRole, EveryNestedWindowHasThePeakOfItsOwn) {
  const at::NoGradGuard noGrad;
  Window outer;
  const at::Tensor held = bytes(100, MemoryRole::Weights);
  {
    Window high;
    const at::Tensor t = bytes(5000, MemoryRole::Gradients);
    EXPECT_EQ(high.atPeak(MemoryRole::Gradients), 5000);
  }
  {
    Window low;
    { const at::Tensor t = bytes(300, MemoryRole::KvCache); }
    EXPECT_EQ(low.atPeak(MemoryRole::KvCache), 300);
    EXPECT_EQ(low.atPeak(MemoryRole::Gradients), 0);
  }
  std::optional<at::Tensor> leaves = bytes(64, MemoryRole::Editor);
  {
    Window falling;
    leaves.reset();
    EXPECT_EQ(falling.atPeak(MemoryRole::Editor), 0) << "the peak is where the window began";
  }
  EXPECT_EQ(outer.atPeak(MemoryRole::Weights), 100);
  EXPECT_EQ(outer.atPeak(MemoryRole::Gradients), 5000);
  EXPECT_EQ(outer.atPeak(MemoryRole::KvCache), 0);
  EXPECT_EQ(outer.atPeak(MemoryRole::Editor), 0);
}

TEST(MemoryTrace, IsBoundedAndLosesNoPeak) {
  MemoryTrace trace(std::chrono::steady_clock::now());
  constexpr int64_t kEvents = 1'000'000;
  constexpr int64_t kPeak = 123'456'789;
  for (int64_t event = 0; event < kEvents; ++event) {
    trace.addAt(event * 137, event == 654'321 ? kPeak : 1000 + event % 7);
  }
  const std::vector<MemorySample> samples = trace.samples();
  EXPECT_LE(samples.size(), MemoryTrace::kMaxSamples);
  EXPECT_GT(samples.size(), MemoryTrace::kMaxSamples / 4);
  size_t peaks = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (i > 0) ASSERT_GT(samples[i].ns, samples[i - 1].ns);
    if (samples[i].allocatedBytes != kPeak) continue;
    ++peaks;
    EXPECT_EQ(samples[i].ns, 654'321 * 137);
  }
  EXPECT_EQ(peaks, 1u);
}

TEST(MemoryTrace, SeesEveryBlockThatIsMadeOrFreedWhileItRuns) {
  DeviceMemory& memory = cpuMemory();
  MemoryTrace trace(std::chrono::steady_clock::now());
  { const at::Tensor earlier = bytes(1 << 20); }
  const int64_t before = memory.counts().allocatedBytes;
  memory.startTrace(trace);
  for (int64_t tooth = 1; tooth <= 5; ++tooth) {
    { const at::Tensor t = bytes(tooth * 1000); }
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  memory.stopTrace(trace);
  { const at::Tensor later = bytes(1 << 20); }
  std::vector<int64_t> above;
  for (const MemorySample& sample : trace.samples()) {
    if (sample.allocatedBytes > before) above.push_back(sample.allocatedBytes - before);
  }
  EXPECT_EQ(above, (std::vector<int64_t>{1000, 2000, 3000, 4000, 5000}));
}

}  // namespace
}  // namespace seprog
