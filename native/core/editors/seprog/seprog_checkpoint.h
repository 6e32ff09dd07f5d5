// The files of a SEPROG editor: editor.json and editor.safetensors.
#pragma once

#include <string>

#include "seprog_modules.h"

namespace seprog {

/// Writes both, each atomically. `baseChecksum` is that of the base as it was loaded.
void writeCheckpoint(const std::string& directory, const SeprogModules& modules, const Model& base,
                     const std::string& baseChecksum, int64_t steps);

/// The parameters of a checkpoint that fits `modules`. Variants that train alike share their checkpoints: only the
/// variant that weights were trained as must agree. Throws CHECKPOINT_INVALID.
TensorTable readCheckpoint(const std::string& directory, const SeprogModules& modules,
                           const std::string& baseChecksum);

}  // namespace seprog
