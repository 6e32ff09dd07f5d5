// What a GPU's board has taken, by NVIDIA's management library.
#pragma once

#include <cstdint>
#include <optional>

namespace seprog {

/// Millijoules since the driver was loaded, of the GPU that CUDA numbers so. Nothing where the library is missing or
/// the GPU does not count (before Volta).
std::optional<int64_t> gpuEnergyMillijoules(int cudaIndex);

}  // namespace seprog
