#include "module.h"

#include <ATen/DeviceAccelerator.h>
#include <dlfcn.h>

#include <cstdio>
#include <memory>
#include <mutex>
#include <type_traits>

#include "../error.h"
#include "kernel_cache.h"

namespace seprog::cuda {
namespace {

constexpr int kSuccess = 0;
constexpr int kCapabilityMajor = 75, kCapabilityMinor = 76;  // CUdevice_attribute

/// What is used of libcuda.so.1, which libtorch holds open.
struct Driver {
  int (*attribute)(int*, int, int);
  int (*currentContext)(void**);
  int (*primaryContext)(void**, int);
  int (*useContext)(void*);
  int (*loadModule)(void**, const void*);
  int (*function)(void**, void*, const char*);
  int (*launch)(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**,
                void**);
  int (*errorString)(int, const char**);

  static const Driver& get() {
    static const Driver driver = open();
    return driver;
  }

  void demand(int outcome, const std::string& what) const {
    if (outcome == kSuccess) return;
    const char* words = nullptr;
    errorString(outcome, &words);
    fail(ErrorCode::Internal, "expected " + what + " to succeed but received: " +
                                  (words == nullptr ? "CUDA error " + std::to_string(outcome) : words));
  }

 private:
  static Driver open() {
    Driver driver{};
    void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    const auto find = [&](auto& function, const char* symbol) {
      void* address = library == nullptr ? nullptr : dlsym(library, symbol);
      if (address == nullptr) fail(ErrorCode::Unsupported, std::string("CUDA's driver has no ") + symbol);
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(address);
    };
    find(driver.attribute, "cuDeviceGetAttribute");
    find(driver.currentContext, "cuCtxGetCurrent");
    find(driver.primaryContext, "cuDevicePrimaryCtxRetain");
    find(driver.useContext, "cuCtxSetCurrent");
    find(driver.loadModule, "cuModuleLoadData");
    find(driver.function, "cuModuleGetFunction");
    find(driver.launch, "cuLaunchKernel");
    find(driver.errorString, "cuGetErrorString");
    return driver;
  }
};

/// A thread of libtorch's autograd may come here before it has a context of its own.
void demandContext(const c10::Device& device) {
  const Driver& driver = Driver::get();
  void* context = nullptr;
  driver.demand(driver.currentContext(&context), "cuCtxGetCurrent");
  if (context != nullptr) return;
  driver.demand(driver.primaryContext(&context, device.index()), "cuDevicePrimaryCtxRetain");
  driver.demand(driver.useContext(context), "cuCtxSetCurrent");
}

int architectureOf(const c10::Device& device) {
  const Driver& driver = Driver::get();
  int major = 0, minor = 0;
  driver.demand(driver.attribute(&major, kCapabilityMajor, device.index()), "cuDeviceGetAttribute");
  driver.demand(driver.attribute(&minor, kCapabilityMinor, device.index()), "cuDeviceGetAttribute");
  return 10 * major + minor;
}

/// libtorch's current stream as the driver knows it. c10::Stream has only an id; its CUDA half turns that into the
/// driver's handle by a method whose object is a c10::Stream and nothing else.
void* currentStream(const c10::Device& device) {
  const c10::Stream stream = at::accelerator::getCurrentStream(device.index());
  if (stream.id() == 0) return nullptr;  // the default stream
  using Handle = void* (*)(const c10::Stream*);
  static const auto handle =
      reinterpret_cast<Handle>(dlsym(RTLD_DEFAULT, "_ZNK3c104cuda10CUDAStream6streamEv"));
  if (handle == nullptr) fail(ErrorCode::Internal, "this libtorch does not tell the handle of a CUDA stream");
  return handle(&stream);
}

}  // namespace

Module::Module(const KernelSource& source, const c10::Device& device) : device_(device) {
  demandContext(device);
  const Driver& driver = Driver::get();
  const std::string cubin = cubinOf(source, architectureOf(device));
  driver.demand(driver.loadModule(&module_, cubin.data()), "cuModuleLoadData");
}

Module* Module::of(const KernelSource& source, const c10::Device& device) {
  // Never unloaded: at the end of the process the driver may be gone before this library is.
  static auto& modules = *new std::map<std::pair<std::string, int>, std::unique_ptr<Module>>();
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  const auto [entry, isNew] = modules.try_emplace({source.name, device.index()});
  if (isNew) {
    try {
      entry->second = std::make_unique<Module>(source, device);
    } catch (const Error& error) {
      std::fprintf(stderr, "seprog-native: %s runs libtorch's own kernels on cuda:%d: %s\n", source.name,
                   static_cast<int>(device.index()), error.what());
    }
  }
  return entry->second.get();
}

void Module::launchWith(const char* kernel, int64_t blocks, unsigned threads, void** arguments) {
  if (blocks == 0) return;
  demandContext(device_);
  const Driver& driver = Driver::get();
  void*& function = functions_[kernel];
  if (function == nullptr) driver.demand(driver.function(&function, module_, kernel), kernel);
  driver.demand(driver.launch(function, static_cast<unsigned>(blocks), 1, 1, threads, 1, 1, 0,
                              currentStream(device_), arguments, nullptr),
                kernel);
}

}  // namespace seprog::cuda
