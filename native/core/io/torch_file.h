// State dicts as torch.save writes them: pytorch_model.bin.
#pragma once

#include <string>

#include "../tensor/weights.h"

namespace seprog {

/// Reads the zip format (torch 1.6 and later) and the legacy one. A state dict may stand alone or under the key
/// `state_dict` or `model_state_dict` of a training checkpoint. The tensors are views of the mapped file where
/// alignment allows, keep their types and strides, and share memory where they did. Nothing in the file is
/// run: see pickle_reader.h. Throws CHECKPOINT_INVALID naming file and tensor: missing, truncated, malformed or
/// big-endian file, compressed archive, sizes that do not fit the file, a pickle that asks for anything but
/// tensors in dictionaries.
TensorTable readTorchFile(const std::string& path);

}  // namespace seprog
