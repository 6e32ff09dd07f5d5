// The files of a SERAC editor: editor.json and editor.safetensors.
#pragma once

#include <string>

#include "serac_models.h"

namespace seprog {

/// Writes both, each atomically. `baseChecksum` is that of the base as it was loaded.
void writeSeracCheckpoint(const std::string& directory, const SeracSpec& spec, const SeracModels& models,
                          const std::string& baseChecksum, int64_t steps);

/// `models` with the weights of a checkpoint. Throws CHECKPOINT_INVALID for one of another kind, another base, another
/// way to compare texts or other sizes.
SeracModels readSeracCheckpoint(const std::string& directory, const SeracSpec& spec,
                                const SeracModels& models, const std::string& baseChecksum);

}  // namespace seprog
