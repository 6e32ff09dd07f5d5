// The text of a GPU kernel as it travels inside this library.
#pragma once

#include <string>

namespace seprog::cuda {

struct KernelSource {
  const char* name;  // of the op, for people and for the cache
  const char* text;
};

/// What is compiled: the common prelude and the op's own kernels.
std::string wholeText(const KernelSource& source);

}  // namespace seprog::cuda
