#include "devices.h"

#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Version.h>
#include <dlfcn.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <fstream>

#include "../error.h"
#include "../plan/planned_device.h"
#include "build_info.h"
#include "cores.h"
#include "gpu_support.h"

namespace seprog {
namespace {

std::string cpuName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "CPU";
}

DeviceInfo describeCpu() {
  const int64_t bytes = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGE_SIZE);
  return {"cpu", cpuName() + ", " + std::to_string(usableCores()) + " usable cores", "", bytes, ""};
}

const std::vector<GpuTarget>& targetsOfLibtorch() {
  static const std::vector<GpuTarget> targets = gpuTargets(at::show_config());
  return targets;
}

int cudaDevices() { return at::hasCUDA() ? at::accelerator::deviceCount() : 0; }

// libtorch tells the name and capability of a GPU only through CUDA's own headers, so the driver is asked. It
// numbers devices by CUDA_VISIBLE_DEVICES as the runtime does.
class Driver {
 public:
  Driver() : library_(dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL)) {
    if (!library_) return;
    name_ = find<int(char*, int, int)>("cuDeviceGetName");
    attribute_ = find<int(int*, int, int)>("cuDeviceGetAttribute");
    totalBytes_ = find<int(size_t*, int)>("cuDeviceTotalMem_v2");
    auto* initialise = find<int(unsigned)>("cuInit");
    ready_ = name_ && attribute_ && totalBytes_ && initialise && initialise(0) == 0;
  }

  DeviceInfo describe(int index) const {
    DeviceInfo info{"cuda:" + std::to_string(index), "GPU", "", 0, ""};
    if (!ready_) return info;
    std::array<char, 256> name{};
    if (name_(name.data(), static_cast<int>(name.size()) - 1, index) == 0) info.description = name.data();
    constexpr int kMajor = 75;
    constexpr int kMinor = 76;
    int major = 0;
    int minor = 0;
    if (attribute_(&major, kMajor, index) == 0 && attribute_(&minor, kMinor, index) == 0) {
      const ComputeCapability capability = 10 * major + minor;
      info.computeCapability = capabilityText(capability);
      info.problem = whyUnserved(info.name, info.description, capability, targetsOfLibtorch(),
                                 buildInfo().libtorchLoaded);
    }
    size_t bytes = 0;
    if (totalBytes_(&bytes, index) == 0) info.totalBytes = static_cast<int64_t>(bytes);
    return info;
  }

 private:
  template <typename Signature>
  Signature* find(const char* symbol) const {
    return reinterpret_cast<Signature*>(dlsym(library_, symbol));
  }

  void* library_;  // stays open: libtorch uses the same one
  int (*name_)(char*, int, int) = nullptr;
  int (*attribute_)(int*, int, int) = nullptr;
  int (*totalBytes_)(size_t*, int) = nullptr;
  bool ready_ = false;
};

}  // namespace

std::vector<DeviceInfo> listDevices() {
  std::vector<DeviceInfo> devices{describeCpu()};
  const int count = cudaDevices();
  if (count == 0) return devices;
  const Driver driver;
  for (int index = 0; index < count; ++index) devices.push_back(driver.describe(index));
  return devices;
}

c10::Device parseDevice(const std::string& name) {
  if (name == "cpu") return c10::Device(c10::DeviceType::CPU);
  if (const auto planned = plannedDeviceFrom(name)) return *planned;
  const std::string digits = name.starts_with("cuda:") ? name.substr(5) : "";
  bool wellFormed = !digits.empty() && digits.size() <= 3;
  for (const char digit : digits) wellFormed = wellFormed && std::isdigit(static_cast<unsigned char>(digit));
  if (!wellFormed) {
    fail(ErrorCode::ConfigInvalid,
         "expected \"cpu\", \"cuda:N\", \"plan:cpu\" or \"plan:cuda\" for `engine.device` but received \"" +
             name + "\"");
  }
  const int index = std::stoi(digits);
  const int count = cudaDevices();
  if (index >= count) {
    fail(ErrorCode::Unsupported,
         "expected a device of this machine for `engine.device` but received \"" + name + "\" and " +
             (count > 0 ? "there are " + std::to_string(count) + " GPUs"
                        : std::string("no GPU is usable (needs a driver and a CUDA build of libtorch)")) +
             ". `seprog-native doctor` lists the devices");
  }
  const std::string problem = Driver().describe(index).problem;
  if (!problem.empty()) fail(ErrorCode::Unsupported, problem);
  return c10::Device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(index));
}

}  // namespace seprog
