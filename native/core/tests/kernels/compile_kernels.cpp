// Compiles every GPU kernel for every architecture that is served; needs no GPU. Fails where one does not compile or
// spills registers to memory. Without NVRTC nothing is shown, and the exit status 77 says so.
#include <cstdio>
#include <regex>
#include <string>

#include "core/cuda/nvrtc.h"
#include "core/error.h"
#include "core/ops/kernel_sources.h"

int main() {
  using namespace seprog;
  const cuda::Nvrtc& nvrtc = cuda::Nvrtc::get();
  if (!nvrtc.problem().empty()) {
    std::printf("no kernel was compiled: %s\n", nvrtc.problem().c_str());
    return 77;
  }
  std::printf("NVRTC %s\n%-18s %-6s %8s %s\n", nvrtc.version().c_str(), "source", "for", "bytes", "kernels");
  int wrong = 0;
  for (const cuda::KernelSource& source : kernelSources()) {
    for (const int architecture : {70, 75, 80, 86, 90, 100}) {
      try {
        const auto [cubin, log] = nvrtc.compile(source, architecture);
        std::string kernels;
        const std::regex figures(
            R"(properties for (\w+)\s[^\n]*?(\d+) bytes stack frame, (\d+) bytes spill stores[^\n]*\n[^\n]*Used (\d+) registers)");
        for (std::sregex_iterator found(log.begin(), log.end(), figures), end; found != end; ++found) {
          const std::smatch& kernel = *found;
          kernels.append(" ").append(kernel[1]).append(" ").append(kernel[4]).append(" registers");
          if (kernel[3] == "0") continue;
          kernels.append(" SPILLS ").append(kernel[3]).append(" bytes");
          ++wrong;
        }
        if (kernels.empty()) {
          kernels = " the assembler gave no figures";
          ++wrong;
        }
        std::printf("%-18s sm_%-3d %8zu%s\n", source.name, architecture, cubin.size(), kernels.c_str());
      } catch (const Error& error) {
        std::printf("%-18s sm_%-3d %s\n", source.name, architecture, error.what());
        ++wrong;
      }
    }
  }
  return wrong == 0 ? 0 : 1;
}
