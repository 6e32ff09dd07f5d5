// The files of a MEND editor: editor.json and editor.safetensors, the latter with the statistics beside the parameters.
#pragma once

#include <string>

#include "edit_update.h"
#include "mend_modules.h"

namespace seprog {

/// stats<group>.{u,delta}_{mean,s} in double and stats<group>.k; none for a group that has seen nothing.
TensorTable statisticsTable(const MendModules& modules, const Statistics& statistics);

/// Writes both, each atomically. `baseChecksum` is that of the base the editor was made for.
void writeMendCheckpoint(const std::string& directory, const MendModules& modules,
                         const Statistics& statistics, const std::string& baseChecksum, int64_t steps);

struct MendCheckpoint {
  TensorTable parameters;
  Statistics statistics;
};
/// Of a checkpoint that fits `modules`. Throws CHECKPOINT_INVALID.
MendCheckpoint readMendCheckpoint(const std::string& directory, const MendModules& modules, const Model& base,
                                  const std::string& baseChecksum);

}  // namespace seprog
