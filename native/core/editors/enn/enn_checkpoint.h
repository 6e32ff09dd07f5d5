// The files of an ENN editor: editor.json and editor.safetensors.
#pragma once

#include <string>

#include "enn_losses.h"

namespace seprog {

/// All that ENN trains in one table: "base.<name>" and "innerRate", one number a matrix.
TensorTable flatten(const EnnParameters& parameters);

/// Writes both files, each atomically. `baseChecksum` is that of the base as it was loaded.
void writeCheckpoint(const std::string& directory, const EnnParameters& parameters, const EnnSpec& spec,
                     const Model& base, const std::string& baseChecksum, int64_t steps);

/// The parameters of a checkpoint of the same sizes as `present`. The options an edit depends on must agree; those
/// that only shaped the training may differ. Throws CHECKPOINT_INVALID.
EnnParameters readCheckpoint(const std::string& directory, const EnnParameters& present, const EnnSpec& spec,
                             const std::string& baseChecksum);

}  // namespace seprog
