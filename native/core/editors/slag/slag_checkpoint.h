// The files of a SLAG editor: editor.json and editor.safetensors.
#pragma once

#include <string>

#include "hypernetwork.h"

namespace seprog {

/// Writes both, each atomically. `baseChecksum` is that of the base as it was loaded.
void writeCheckpoint(const std::string& directory, const Hypernetwork& network,
                     const std::string& baseChecksum, int64_t steps);

/// The parameters of a checkpoint that fits `network`. Throws CHECKPOINT_INVALID for another kind, another base model,
/// other sizes or another scale of the updates.
TensorTable readCheckpoint(const std::string& directory, const Hypernetwork& network,
                           const std::string& baseChecksum);

}  // namespace seprog
