// What this engine was built with and what it found when it was loaded.
#pragma once

#include <string>

namespace seprog {

struct BuildInfo {
  std::string libtorchCompiled;  // "2.10.0"
  std::string libtorchLoaded;
  std::string compiler;
  std::string blas;
  std::string cpuCapability;
};

BuildInfo buildInfo();

/// A matrix product and its gradient against values known exactly. False: this build or machine computes
/// wrongly. Runs on a thread of its own, so that the caller's never gets an OpenMP team.
bool selfTest();

}  // namespace seprog
