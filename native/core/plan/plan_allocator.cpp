#include "plan_allocator.h"

#include <c10/core/Allocator.h>

#include <array>
#include <mutex>

#include "../instrument/byte_counts.h"
#include "planned_device.h"

namespace seprog {
namespace {

// The unit in which libtorch's CUDA allocator hands out and counts (kMinBlockSize of c10/cuda/CUDACachingAllocator.h).
constexpr int64_t kCudaUnitBytes = 512;

int64_t handedOut(PlannedKind kind, size_t bytes) {
  const auto asked = static_cast<int64_t>(bytes);
  if (kind == PlannedKind::Cpu) return asked;
  return (asked + kCudaUnitBytes - 1) / kCudaUnitBytes * kCudaUnitBytes;
}

/// Counts of one planned device. Blocks may be given back on another thread than the one that took them.
class Ledger {
 public:
  void add(MemoryRole role, int64_t bytes) {
    std::lock_guard lock(mutex_);
    counts_.add(role, bytes);
  }
  void remove(MemoryRole role, int64_t bytes) {
    std::lock_guard lock(mutex_);
    counts_.remove(role, bytes);
  }
  MemoryCounts counts(bool restartPeak) {
    std::lock_guard lock(mutex_);
    const int64_t now = counts_.allocatedBytes();
    const int64_t peak = counts_.peakBytes();
    const MemoryCounts all{now, peak, now, peak, counts_.byRole(), counts_.byRoleAtPeak()};
    if (restartPeak) counts_.restartPeak();
    return all;
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

 private:
  std::mutex mutex_;
  ByteCounts counts_;
};

Ledger& ledgerOf(const c10::Device& device) {
  static auto* ledgers = new std::array<Ledger, kPlannedDevices>();
  return (*ledgers)[static_cast<size_t>(device.index())];
}

/// What stands in a tensor's storage instead of data.
struct PlannedBlock {
  Ledger& ledger;
  MemoryRole role;
  int64_t bytes;
  at::Tensor host;  // the whole storage as the host gave it, where it is known
};

void release(void* context) {
  const auto* block = static_cast<PlannedBlock*>(context);
  block->ledger.remove(block->role, block->bytes);
  delete block;
}

class PlanAllocator final : public c10::Allocator {
 public:
  static PlanAllocator& instance() {
    static auto* allocator = new PlanAllocator();
    return *allocator;
  }
  c10::DataPtr allocate(size_t bytes) override {
    const std::optional<c10::Device> device = plannedHere();
    if (!device) return {nullptr, c10::Device(c10::DeviceType::Meta)};
    if (bytes == 0) return {nullptr, *device};
    const int64_t handed = handedOut(plannedKind(*device), bytes);
    Ledger& ledger = ledgerOf(*device);
    const MemoryRole role = currentMemoryRole();
    ledger.add(role, handed);
    return {nullptr, new PlannedBlock{ledger, role, handed, {}}, &release, *device};
  }
  void copy_data(void*, const void*, size_t) const override {}
};

PlannedBlock* blockOf(const at::Tensor& planned) {
  return planned.storage().data_ptr().cast_context<PlannedBlock>(&release);
}

}  // namespace

void installPlanAllocator() {
  static const bool installed = [] {
    constexpr uint8_t kPriority = 100;  // above libtorch's own, whose priority is 0
    c10::SetAllocator(c10::DeviceType::Meta, &PlanAllocator::instance(), kPriority);
    return true;
  }();
  (void)installed;
}

MemoryCounts planMemoryCounts(const c10::Device& device) { return ledgerOf(device).counts(false); }
MemoryCounts takePlanMemoryCounts(const c10::Device& device) { return ledgerOf(device).counts(true); }
void startPlanMemoryTrace(const c10::Device& device, MemoryTrace& trace) {
  ledgerOf(device).startTrace(trace);
}
void stopPlanMemoryTrace(const c10::Device& device, MemoryTrace& trace) { ledgerOf(device).stopTrace(trace); }
void samplePlanMemory(const c10::Device& device, MemoryTrace& trace) { ledgerOf(device).sample(trace); }

void keepHostValues(const at::Tensor& planned, const at::Tensor& onHost) {
  PlannedBlock* block = blockOf(planned);
  if (block != nullptr) block->host = onHost.clone(at::MemoryFormat::Contiguous).view({-1});
}

at::Tensor hostValues(const at::Tensor& planned) {
  const PlannedBlock* block = blockOf(planned);
  if (block == nullptr || !block->host.defined() || block->host.scalar_type() != planned.scalar_type())
    return {};
  return block->host.as_strided(planned.sizes(), planned.strides(), planned.storage_offset());
}

}  // namespace seprog
