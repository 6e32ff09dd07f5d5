#include "core/instrument/meter.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "core/instrument/process_memory.h"
#include "core/train/backward.h"

namespace seprog {
namespace {

const c10::Device kCpu(c10::DeviceType::CPU);

void holdBytes(int64_t bytes) { at::Tensor held = at::empty({bytes}, at::kByte); }

TEST(Meter, RecordsPhasesInOrderWithTheirOwnPeaks) {
  installCountingAllocator();
  at::Tensor before = at::empty({64}, at::kByte);
  Meter meter(kCpu);
  JobContext context(nullptr, &meter);
  {
    auto forward = context.phase("forward");
    holdBytes(10000);
  }
  {
    auto backward = context.phase("backward");
    holdBytes(3000);
  }
  const Measurement measurement = meter.finish();
  ASSERT_EQ(measurement.phases.size(), 2u);
  const PhaseRecord& forward = measurement.phases[0];
  const PhaseRecord& backward = measurement.phases[1];
  EXPECT_EQ(forward.name, "forward");
  EXPECT_EQ(forward.peakBytes - forward.baselineBytes, 10000);
  EXPECT_EQ(backward.name, "backward");
  EXPECT_EQ(backward.peakBytes - backward.baselineBytes, 3000);
  EXPECT_EQ(measurement.total.peakBytes - measurement.total.baselineBytes, 10000);
  EXPECT_GE(forward.baselineBytes, 64);
  EXPECT_GE(forward.peakReservedBytes, forward.peakBytes);
  EXPECT_EQ(forward.deviceNs, -1) << "the CPU has no clock of its own";
}

TEST(Meter, ABackwardPassIsAPhaseOfItsOwnInsideTheOpenOne) {
  const at::Tensor w = at::ones({8, 8}).requires_grad_();
  gradientsFor({w.square().sum()}, {w});  // nothing is measured: no phase, no failure
  Meter meter(kCpu, MeasureLevel::Detail);
  JobContext context(nullptr, &meter);
  {
    auto losses = context.phase("losses");
    for (int chunk = 0; chunk < 3; ++chunk) gradientsFor({at::mm(w, w).sum()}, {w});
  }
  {
    auto backward = context.phase("editor_backward");
    gradientsFor({at::mm(w, w).sum()}, {w});
  }
  runBackward({at::mm(w, w).sum()});
  const Measurement measurement = meter.finish();
  std::vector<std::string> names;
  for (const PhaseRecord& phase : measurement.phases) names.push_back(phase.name);
  EXPECT_EQ(names, (std::vector<std::string>{"losses", "losses_backward", "editor_backward", "backward"}));
  const PhaseRecord& within = measurement.phases[1];
  EXPECT_EQ(within.calls, 3);
  EXPECT_EQ(within.flops->backward, 3 * 2 * 2 * 8 * 8 * 8);
  EXPECT_EQ(measurement.phases[0].flops->backward, 0) << "counted where it ran, once";
  EXPECT_EQ(measurement.phases[0].selfWallNs, measurement.phases[0].wallNs - within.wallNs);
}

TEST(Meter, NestedPhasesCountForTheOuterAndRepeatedNamesAddUp) {
  installCountingAllocator();
  Meter meter(kCpu);
  JobContext context(nullptr, &meter);
  {
    auto outer = context.phase("outer");
    for (int64_t bytes : {2000, 7000, 500}) {
      auto inner = context.phase("inner");
      holdBytes(bytes);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  const Measurement measurement = meter.finish();
  ASSERT_EQ(measurement.phases.size(), 2u);
  const PhaseRecord& outer = measurement.phases[0];
  const PhaseRecord& inner = measurement.phases[1];
  EXPECT_EQ(outer.peakBytes - outer.baselineBytes, 7000);
  EXPECT_EQ(inner.peakBytes - inner.baselineBytes, 7000);
  EXPECT_GE(inner.wallNs, 6'000'000);
  EXPECT_GE(outer.wallNs, inner.wallNs);
  EXPECT_GE(measurement.total.wallNs, outer.wallNs);
}

TEST(Meter, ClosesPhasesThatAnErrorLeaves) {
  Meter meter(kCpu);
  JobContext context(nullptr, &meter);
  try {
    auto outer = context.phase("outer");
    auto inner = context.phase("inner");
    throw std::runtime_error("in the middle");
  } catch (const std::runtime_error&) {
  }
  { auto next = context.phase("next"); }
  EXPECT_EQ(meter.finish().phases.size(), 3u);
}

int64_t statusField(const std::string& name) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name + ":")) return std::stoll(line.substr(name.size() + 1)) * 1024;
  }
  return 0;
}

TEST(ProcessMemory, PeakIsTheKernelsHighWaterMarkBeforeAndAfterAReset) {
  // The kernel keeps resident pages in per-core counters and adds them up now and then.
  constexpr double kSlackBytes = 2 << 20;
  EXPECT_NEAR(processPeakBytes(), statusField("VmHWM"), kSlackBytes);
  { std::vector<char> held(size_t{64} << 20, 1); }
  EXPECT_NEAR(processPeakBytes(), statusField("VmHWM"), kSlackBytes);
  ASSERT_TRUE(resetProcessPeak());
  EXPECT_NEAR(processPeakBytes(), statusField("VmHWM"), kSlackBytes);
}

TEST(ProcessMemory, PeakSeesAMappingThatTheAllocatorDoesNot) {
  ASSERT_TRUE(resetProcessPeak());
  const int64_t before = processPeakBytes();
  ASSERT_GT(before, 0);
  constexpr size_t kBytes = size_t{48} << 20;
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  std::memset(memory, 1, kBytes);
  munmap(memory, kBytes);
  EXPECT_GT(processPeakBytes(), before + (int64_t{40} << 20));
  ASSERT_TRUE(resetProcessPeak());
  EXPECT_LT(processPeakBytes(), before + (int64_t{40} << 20));
}

}  // namespace
}  // namespace seprog
