// Safetensors files: read by mmap, written atomically.
#pragma once

#include <map>
#include <string>

#include "../tensor/weights.h"

namespace seprog {

struct SafetensorsFile {
  TensorTable tensors;  // CPU tensors; zero-copy views of the mapping where dtype alignment allows
  std::map<std::string, std::string> metadata;
};

/// Throws CHECKPOINT_INVALID (missing, truncated, overlapping or malformed) naming file, tensor and byte
/// counts.
SafetensorsFile readSafetensors(const std::string& path);

/// Writes `path` by a temporary name, fsync and rename. On failure (a full disk) the temporary is removed, an
/// existing `path` is left as it was, and CHECKPOINT_INVALID says what the system answered.
void writeSafetensors(const std::string& path, const TensorTable& tensors,
                      const std::map<std::string, std::string>& metadata = {});

}  // namespace seprog
