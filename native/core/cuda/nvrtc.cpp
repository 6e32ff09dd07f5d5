#include "nvrtc.h"

#include <dlfcn.h>
#include <link.h>

#include <cstdlib>
#include <type_traits>
#include <vector>

#include "../error.h"

namespace seprog::cuda {
namespace {

using Program = void*;
constexpr int kSuccess = 0;

/// The folder of the libtorch in this process, or nothing.
std::string folderOfLibtorch() {
  std::string folder;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* found) {
        const std::string path = info->dlpi_name == nullptr ? "" : info->dlpi_name;
        const size_t slash = path.rfind('/');
        if (slash == std::string::npos || path.substr(slash + 1) != "libtorch_cpu.so") return 0;
        *static_cast<std::string*>(found) = path.substr(0, slash);
        return 1;
      },
      &folder);
  return folder;
}

/// The user's own, then those that a pip installation lays beside torch, then whatever the system finds.
std::vector<std::string> places() {
  if (const char* own = std::getenv("SEPROG_NVRTC")) return {own};
  std::vector<std::string> places = {"libnvrtc.so.12", "libnvrtc.so.13"};
  if (const std::string torch = folderOfLibtorch(); !torch.empty()) {
    const std::string packages = torch + "/../../nvidia/";
    places.insert(places.begin(),
                  {packages + "cuda_nvrtc/lib/libnvrtc.so.12", packages + "cu13/lib/libnvrtc.so.13"});
  }
  return places;
}

}  // namespace

struct Nvrtc::Functions {
  int (*version)(int*, int*);
  int (*createProgram)(Program*, const char*, const char*, int, const char* const*, const char* const*);
  int (*compileProgram)(Program, int, const char* const*);
  int (*destroyProgram)(Program*);
  int (*logSize)(Program, size_t*);
  int (*log)(Program, char*);
  int (*cubinSize)(Program, size_t*);
  int (*cubin)(Program, char*);
  const char* (*errorString)(int);
};

Nvrtc::Nvrtc() {
  void* library = nullptr;
  std::string tried;
  for (const std::string& place : places()) {
    library = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) break;
    tried += (tried.empty() ? "" : ", ") + place;
  }
  if (library == nullptr) {
    problem_ = "NVRTC was not found (tried " + tried +
               "); pip install nvidia-cuda-nvrtc-cu12 beside torch, or name it with SEPROG_NVRTC=FILE";
    return;
  }
  static Functions functions;
  const auto find = [&](auto& function, const char* symbol) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, symbol));
    return function != nullptr;
  };
  const bool complete =
      find(functions.version, "nvrtcVersion") && find(functions.createProgram, "nvrtcCreateProgram") &&
      find(functions.compileProgram, "nvrtcCompileProgram") &&
      find(functions.destroyProgram, "nvrtcDestroyProgram") &&
      find(functions.logSize, "nvrtcGetProgramLogSize") && find(functions.log, "nvrtcGetProgramLog") &&
      find(functions.cubinSize, "nvrtcGetCUBINSize") && find(functions.cubin, "nvrtcGetCUBIN") &&
      find(functions.errorString, "nvrtcGetErrorString");
  int major = 0, minor = 0;
  if (!complete || functions.version(&major, &minor) != kSuccess) {
    problem_ = "the NVRTC that was found lacks functions of version 11.1 and later";
    return;
  }
  version_ = std::to_string(major) + "." + std::to_string(minor);
  functions_ = &functions;
}

const Nvrtc& Nvrtc::get() {
  static const Nvrtc nvrtc;
  return nvrtc;
}

Nvrtc::Compiled Nvrtc::compile(const KernelSource& source, int architecture) const {
  if (functions_ == nullptr) fail(ErrorCode::Unsupported, problem_);
  const std::string text = wholeText(source);
  const std::string file = std::string(source.name) + ".cu";
  Program program = nullptr;
  if (functions_->createProgram(&program, text.c_str(), file.c_str(), 0, nullptr, nullptr) != kSuccess) {
    fail(ErrorCode::Unsupported, "expected NVRTC to take the source of `" + file + "` but it did not");
  }
  const std::string target = "--gpu-architecture=sm_" + std::to_string(architecture);
  const std::vector<const char*> options = {target.c_str(), "--std=c++17", "--ptxas-options=-v"};
  const int outcome = functions_->compileProgram(program, static_cast<int>(options.size()), options.data());
  Compiled compiled;
  size_t size = 0;
  if (functions_->logSize(program, &size) == kSuccess && size > 1) {
    compiled.log.resize(size);
    functions_->log(program, compiled.log.data());
    compiled.log.pop_back();  // the terminating zero
  }
  if (outcome == kSuccess && functions_->cubinSize(program, &size) == kSuccess) {
    compiled.cubin.resize(size);
    functions_->cubin(program, compiled.cubin.data());
  }
  functions_->destroyProgram(&program);
  if (compiled.cubin.empty()) {
    fail(ErrorCode::Unsupported,
         "expected NVRTC " + version_ + " to compile `" + file + "` for sm_" + std::to_string(architecture) +
             " but received: " + functions_->errorString(outcome) + "\n" + compiled.log);
  }
  return compiled;
}

}  // namespace seprog::cuda
