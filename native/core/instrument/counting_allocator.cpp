#include "counting_allocator.h"

#include <c10/core/Allocator.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <string>

#include "../error.h"
#include "block_cache.h"
#include "byte_counts.h"
#include "poison.h"

namespace seprog {
namespace {

constexpr size_t kPageBytes = 4096;
// Above this a block is a mapping of its own: it goes back to the system the moment it is evicted, whatever
// lies around it on the heap.
constexpr size_t kMappedBytes = size_t{1} << 20;
// From here on huge pages pay: filling a fresh block is five times faster and reading a large one half as
// fast again.
constexpr size_t kHugeBytes = size_t{4} << 20;
// The cache may fill what the live blocks leave of their own high-water mark, plus this much and an eighth:
// caching then cannot make the process much larger than it had to become anyway.
constexpr size_t kSlackBytes = size_t{64} << 20;

/// `usedBytes` is the part that is sure to be written. Only it is asked for in huge pages: they would make
/// the rest, which is there because of rounding, resident too.
Block* takeFromSystem(size_t bytes, size_t usedBytes) {
  if (bytes < kMappedBytes) {
    void* memory = nullptr;
    return posix_memalign(&memory, kBlockAlignment, bytes) == 0 ? static_cast<Block*>(memory) : nullptr;
  }
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  // A kernel without huge pages refuses, which is fine.
  if (bytes >= kHugeBytes) madvise(memory, usedBytes, MADV_HUGEPAGE);
  return static_cast<Block*>(memory);
}

void giveToSystem(Block* block) {
  unpoison(block->data(), block->dataBytes());
  if (block->reservedBytes < kMappedBytes) {
    std::free(block);
  } else {
    munmap(block, block->reservedBytes);
  }
}

class CountingAllocator final : public c10::Allocator {
 public:
  // Never destroyed: tensors of other static objects may outlive any order of destruction.
  static CountingAllocator& instance() {
    static auto* allocator = new CountingAllocator();
    return *allocator;
  }

  c10::DataPtr allocate(size_t bytes) override {
    void* data = bytes == 0 ? nullptr : take(bytes);
    return {data, data, &release, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* destination, const void* source, size_t bytes) const override {
    default_copy_data(destination, source, bytes);
  }

  MemoryCounts counts(bool restartPeaks) {
    std::lock_guard lock(mutex_);
    const MemoryCounts now{counts_.allocatedBytes(), counts_.peakBytes(), reservedBytes(),
                           peakReservedBytes_,       counts_.byRole(),    counts_.byRoleAtPeak()};
    if (restartPeaks) {
      counts_.restartPeak();
      peakReservedBytes_ = now.reservedBytes;
    }
    return now;
  }

  void startTrace(MemoryTrace& trace) {
    std::lock_guard lock(mutex_);
    counts_.startTrace(trace);
  }
  void stopTrace(MemoryTrace& trace) {
    std::lock_guard lock(mutex_);
    counts_.stopTrace(trace);
  }
  void sample(MemoryTrace& trace) {
    std::lock_guard lock(mutex_);
    counts_.sample(trace);
  }

  void trim() {
    std::lock_guard lock(mutex_);
    while (Block* block = cache_.popOldest()) giveToSystem(block);
    highWaterBytes_ = liveBytes_;
  }

 private:
  void* take(size_t bytes) {
    if (bytes > size_t{1} << 46) refuse(bytes);
    const SizeClass sizeClass = sizeClassOf(bytes);
    const MemoryRole role = currentMemoryRole();
    std::lock_guard lock(mutex_);
    Block* block = cache_.popNewest(sizeClass.index);
    if (!block) block = fresh(sizeClass, bytes);
    block->requestedBytes = bytes;
    block->role = role;
    poison(block->data(), block->dataBytes());
    unpoison(block->data(), bytes);
    liveBytes_ += block->reservedBytes;
    highWaterBytes_ = std::max(highWaterBytes_, liveBytes_);
    counts_.add(role, static_cast<int64_t>(bytes));
    peakReservedBytes_ = std::max(peakReservedBytes_, reservedBytes());
    return block->data();
  }

  Block* fresh(const SizeClass& sizeClass, size_t bytes) {
    size_t blockBytes = sizeof(Block) + sizeClass.bytes;
    if (blockBytes >= kMappedBytes) blockBytes = (blockBytes + kPageBytes - 1) / kPageBytes * kPageBytes;
    const size_t needed = liveBytes_ + blockBytes;
    const size_t highWater = std::max(highWaterBytes_, needed);
    const size_t limit = highWater + highWater / kStepsPerDoubling + kSlackBytes;
    while (needed + cache_.bytes() > limit) {
      Block* oldest = cache_.popOldest();
      if (!oldest) break;
      giveToSystem(oldest);
    }
    Block* block = takeFromSystem(blockBytes, sizeof(Block) + bytes);
    if (!block) {
      while (Block* cached = cache_.popOldest()) giveToSystem(cached);
      block = takeFromSystem(blockBytes, sizeof(Block) + bytes);
    }
    if (!block) refuse(bytes);
    block->reservedBytes = blockBytes;
    block->sizeClass = static_cast<uint32_t>(sizeClass.index);
    return block;
  }

  [[noreturn]] void refuse(size_t bytes) const {
    fail(ErrorCode::OutOfMemory, "expected " + std::to_string(bytes) +
                                     " bytes of memory for a tensor but received none (" +
                                     std::to_string(counts_.allocatedBytes()) +
                                     " bytes are held by tensors). Use a smaller batch or model");
  }

  static void release(void* data) { instance().put(data); }

  void put(void* data) {
    if (!data) return;
    Block* block = Block::of(data);
    std::lock_guard lock(mutex_);
    counts_.remove(block->role, static_cast<int64_t>(block->requestedBytes));
    liveBytes_ -= block->reservedBytes;
    poison(block->data(), block->dataBytes());
    cache_.push(block);
  }

  int64_t reservedBytes() const { return static_cast<int64_t>(liveBytes_ + cache_.bytes()); }

  std::mutex mutex_;
  BlockCache cache_;
  ByteCounts counts_;
  size_t liveBytes_ = 0;       // blocks handed out, as rounded
  size_t highWaterBytes_ = 0;  // of liveBytes_ since the last trim
  int64_t peakReservedBytes_ = 0;
};

}  // namespace

void installCountingAllocator() {
  static const bool installed = [] {
    constexpr uint8_t kPriority = 100;  // above libtorch's own, whose priority is 0
    c10::SetAllocator(c10::DeviceType::CPU, &CountingAllocator::instance(), kPriority);
    return true;
  }();
  (void)installed;
}

MemoryCounts cpuMemoryCounts() { return CountingAllocator::instance().counts(false); }
MemoryCounts takeCpuMemoryCounts() { return CountingAllocator::instance().counts(true); }
void startCpuMemoryTrace(MemoryTrace& trace) { CountingAllocator::instance().startTrace(trace); }
void stopCpuMemoryTrace(MemoryTrace& trace) { CountingAllocator::instance().stopTrace(trace); }
void sampleCpuMemory(MemoryTrace& trace) { CountingAllocator::instance().sample(trace); }
void trimCpuMemoryCache() { CountingAllocator::instance().trim(); }

}  // namespace seprog
