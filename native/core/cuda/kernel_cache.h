// Compiled kernels on disk: one file per source, architecture and compiler.
#pragma once

#include <string>

#include "nvrtc.h"

namespace seprog::cuda {

/// $XDG_CACHE_HOME/seprog-native/kernels or ~/.cache/seprog-native/kernels; empty without a home.
std::string kernelFolder();
/// The file's name: source text's hash, architecture, compiler version.
std::string kernelFile(const KernelSource& source, int architecture, const std::string& compilerVersion);

/// The cubin from the cache, or compiled (after a line to standard error that says so) and put there. Processes may
/// race: each writes a file of its own and renames it. A folder that cannot be written costs the next process a
/// compilation. Throws as Nvrtc::compile() does.
std::string cubinOf(const KernelSource& source, int architecture);

}  // namespace seprog::cuda
