#include "gpu_energy.h"

#include <dlfcn.h>

#include <array>

namespace seprog {
namespace {

constexpr int kSuccess = 0;  // of the driver and of the management library

template <typename Function>
Function* find(void* library, const char* name) {
  return library ? reinterpret_cast<Function*>(dlsym(library, name)) : nullptr;
}

// The management library counts GPUs in another order than CUDA and ignores CUDA_VISIBLE_DEVICES: the bus id that the
// driver tells is the same for both.
class Management {
 public:
  Management() {
    void* driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    void* library = dlopen("libnvidia-ml.so.1", RTLD_LAZY | RTLD_LOCAL);
    busId_ = find<int(char*, int, int)>(driver, "cuDeviceGetPCIBusId");
    handle_ = find<int(const char*, void**)>(library, "nvmlDeviceGetHandleByPciBusId_v2");
    energy_ = find<int(void*, unsigned long long*)>(library, "nvmlDeviceGetTotalEnergyConsumption");
    auto* startDriver = find<int(unsigned)>(driver, "cuInit");
    auto* start = find<int()>(library, "nvmlInit_v2");
    ready_ = busId_ && handle_ && energy_ && startDriver && start && startDriver(0) == kSuccess &&
             start() == kSuccess;
  }

  std::optional<int64_t> millijoules(int cudaIndex) const {
    std::array<char, 32> busId{};
    void* device = nullptr;
    unsigned long long millijoules = 0;
    if (!ready_ || busId_(busId.data(), static_cast<int>(busId.size()), cudaIndex) != kSuccess ||
        handle_(busId.data(), &device) != kSuccess || energy_(device, &millijoules) != kSuccess) {
      return std::nullopt;
    }
    return static_cast<int64_t>(millijoules);
  }

 private:
  int (*busId_)(char*, int, int) = nullptr;
  int (*handle_)(const char*, void**) = nullptr;
  int (*energy_)(void*, unsigned long long*) = nullptr;
  bool ready_ = false;
};

}  // namespace

std::optional<int64_t> gpuEnergyMillijoules(int cudaIndex) {
  static const Management management;
  return management.millijoules(cudaIndex);
}

}  // namespace seprog
