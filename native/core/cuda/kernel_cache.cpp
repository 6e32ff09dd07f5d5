#include "kernel_cache.h"

#include <cstdio>
#include <filesystem>

#include "../cache_folder.h"
#include "../error.h"
#include "../fnv.h"
#include "../io/atomic_file.h"

namespace seprog::cuda {
namespace {

/// A cubin is an ELF file.
bool isCubin(const std::string& bytes) {
  return bytes.starts_with(
      "\x7f"
      "ELF");
}

}  // namespace

std::string kernelFolder() {
  const std::string folder = cacheFolder();
  return folder.empty() ? "" : folder + "/kernels";
}

std::string kernelFile(const KernelSource& source, int architecture, const std::string& compilerVersion) {
  const std::string text = wholeText(source);
  Fnv hash;
  hash.bytes(text.data(), text.size());
  return std::string(source.name) + "-" + hex(hash.value()) + "-sm_" + std::to_string(architecture) +
         "-nvrtc" + compilerVersion + ".cubin";
}

std::string cubinOf(const KernelSource& source, int architecture) {
  const Nvrtc& nvrtc = Nvrtc::get();
  const std::string folder = kernelFolder();
  const std::string path = folder + "/" + kernelFile(source, architecture, nvrtc.version());
  std::error_code ignored;
  if (!folder.empty() && std::filesystem::exists(path, ignored)) {
    try {
      std::string cubin = readFile(path);
      if (isCubin(cubin)) return cubin;
    } catch (const Error&) {
      // An unreadable file is as good as none.
    }
  }
  std::fprintf(stderr, "seprog-native: compiling %s for sm_%d, once for this machine\n", source.name,
               architecture);
  std::string cubin = nvrtc.compile(source, architecture).cubin;
  if (folder.empty()) return cubin;
  try {
    std::filesystem::create_directories(folder);
    writeFileAtomic(path, cubin);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "seprog-native: the compiled kernel could not be kept: %s\n", error.what());
  }
  return cubin;
}

}  // namespace seprog::cuda
