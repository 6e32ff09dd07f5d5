#include "kernel_source.h"

namespace seprog::cuda {
namespace {

constexpr const char* kPrelude =
#include <embedded/core/cuda/prelude.cu.inc>
    ;

}  // namespace

std::string wholeText(const KernelSource& source) { return std::string(kPrelude) + source.text; }

}  // namespace seprog::cuda
