// The counts must agree with a known allocation pattern to the byte.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "core/error.h"
#include "core/instrument/counting_allocator.h"
#include "core/instrument/device_memory.h"
#include "core/instrument/size_class.h"

namespace seprog {
namespace {

class CountingAllocatorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    installCountingAllocator();
    trimCpuMemoryCache();
    before_ = takeCpuMemoryCounts();
  }
  int64_t allocatedSince() const { return cpuMemoryCounts().allocatedBytes - before_.allocatedBytes; }
  int64_t peakSince() const { return cpuMemoryCounts().peakBytes - before_.allocatedBytes; }

  c10::Allocator& allocator() { return *c10::GetAllocator(c10::DeviceType::CPU); }
  MemoryCounts before_;
};

TEST(SizeClass, RoundsUpByAtMostAnEighth) {
  size_t previousIndex = 0;
  for (size_t bytes = 1; bytes < (size_t{1} << 22); bytes += bytes < 5000 ? 1 : 997) {
    const SizeClass sizeClass = sizeClassOf(bytes);
    ASSERT_GE(sizeClass.bytes, bytes);
    ASSERT_EQ(sizeClass.bytes % kBlockAlignment, 0u) << bytes;
    ASSERT_LE(sizeClass.bytes - bytes, std::max(kBlockAlignment - 1, bytes / 8)) << bytes;
    ASSERT_GE(sizeClass.index, previousIndex);
    ASSERT_LT(sizeClass.index, kSizeClasses);
    ASSERT_EQ(sizeClassOf(sizeClass.bytes).index, sizeClass.index) << "a class must contain its own size";
    previousIndex = sizeClass.index;
  }
}

TEST_F(CountingAllocatorTest, CountsTensorsToTheByte) {
  {
    at::Tensor first = at::empty({1000}, at::kFloat);
    EXPECT_EQ(allocatedSince(), 4000);
    {
      at::Tensor second = at::empty({3, 7}, at::kDouble);
      at::Tensor third = at::empty({5}, at::kByte);
      EXPECT_EQ(allocatedSince(), 4000 + 168 + 5);
    }
    EXPECT_EQ(allocatedSince(), 4000);
    at::Tensor view = first.slice(0, 10, 20);
    at::Tensor nothing = at::empty({0}, at::kFloat);
    EXPECT_EQ(allocatedSince(), 4000);
  }
  EXPECT_EQ(allocatedSince(), 0);
  EXPECT_EQ(peakSince(), 4000 + 168 + 5);
}

TEST_F(CountingAllocatorTest, PeakStartsAnewWhenTaken) {
  { at::Tensor big = at::empty({1 << 20}, at::kFloat); }
  EXPECT_EQ(peakSince(), 4 << 20);
  takeCpuMemoryCounts();
  EXPECT_EQ(peakSince(), 0);
}

TEST_F(CountingAllocatorTest, AlignsAndKeepsContents) {
  std::vector<c10::DataPtr> blocks;
  for (size_t bytes : {1, 63, 64, 65, 511, 513, 4096, 100000, 1 << 20, (1 << 20) + 1, 9000001}) {
    blocks.push_back(allocator().allocate(bytes));
    ASSERT_EQ(reinterpret_cast<uintptr_t>(blocks.back().get()) % 64, 0u);
    std::memset(blocks.back().get(), static_cast<int>(blocks.size()), bytes);
    blocks.push_back(allocator().allocate(bytes));
    std::memset(blocks.back().get(), 0, bytes);
  }
  for (size_t i = 0; i < blocks.size(); i += 2) {
    EXPECT_EQ(static_cast<unsigned char*>(blocks[i].get())[0], i + 1);
  }
}

TEST_F(CountingAllocatorTest, ReusesTheBlockOfTheSameClass) {
  void* first = allocator().raw_allocate(5 << 20);
  allocator().raw_deallocate(first);
  const int64_t reserved = cpuMemoryCounts().reservedBytes;
  void* second = allocator().raw_allocate((5 << 20) - 1000);
  EXPECT_EQ(second, first);
  EXPECT_EQ(cpuMemoryCounts().reservedBytes, reserved);
  allocator().raw_deallocate(second);
}

TEST_F(CountingAllocatorTest, CacheIsBoundedByWhatWasLive) {
  // 40 rounds of one 100 MB block, each of another size class: a cache without a bound would hold gigabytes.
  for (int round = 0; round < 40; ++round) {
    allocator().raw_deallocate(allocator().raw_allocate((size_t{100} << 20) + (size_t{13} << 20) * round));
  }
  const MemoryCounts now = cpuMemoryCounts();
  const int64_t largest = (int64_t{100} << 20) + (int64_t{13} << 20) * 39;
  EXPECT_LE(now.peakReservedBytes - before_.reservedBytes, largest + largest / 4 + (64 << 20) + 4096);
  trimCpuMemoryCache();
  EXPECT_LE(cpuMemoryCounts().reservedBytes, before_.reservedBytes);
}

TEST_F(CountingAllocatorTest, ImpossibleSizeIsOutOfMemory) {
  for (size_t bytes : {size_t{1} << 45, size_t{1} << 60}) {
    try {
      allocator().raw_allocate(bytes);
      FAIL() << "expected an error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::OutOfMemory);
    }
  }
  EXPECT_EQ(allocatedSince(), 0);
}

TEST_F(CountingAllocatorTest, CountsAcrossThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      std::mt19937 random(t);
      std::vector<void*> live;
      for (int i = 0; i < 20000; ++i) {
        if (live.size() > 50 || (!live.empty() && random() % 2)) {
          std::swap(live[random() % live.size()], live.back());
          allocator().raw_deallocate(live.back());
          live.pop_back();
        } else {
          live.push_back(allocator().raw_allocate(1 + random() % 3000));
        }
      }
      for (void* block : live) allocator().raw_deallocate(block);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(allocatedSince(), 0);
}

TEST_F(CountingAllocatorTest, InnerPeaksCountForOuterWindows) {
  DeviceMemory& memory = DeviceMemory::of(c10::Device(c10::DeviceType::CPU));
  PeakWindow outer(memory);
  { at::Tensor t = at::empty({1000}, at::kByte); }
  {
    PeakWindow inner(memory);
    { at::Tensor t = at::empty({5000}, at::kByte); }
    EXPECT_EQ(inner.read().peakBytes - inner.baselineBytes(), 5000);
  }
  {
    PeakWindow inner(memory);
    { at::Tensor t = at::empty({300}, at::kByte); }
    EXPECT_EQ(inner.read().peakBytes - inner.baselineBytes(), 300);
  }
  EXPECT_EQ(outer.read().peakBytes - outer.baselineBytes(), 5000);
  outer.restart();
  EXPECT_EQ(outer.read().peakBytes, outer.baselineBytes());
}

}  // namespace
}  // namespace seprog
