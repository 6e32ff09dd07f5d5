// Writes tensors as torch.save does, so that tests can make a hub's pytorch_model.bin of any size.
#pragma once

#include <string>

#include "core/tensor/weights.h"

namespace seprog {

enum class TorchFormat { Zip, Legacy };

/// The state dict of a module: an OrderedDict with its `_metadata`. Tensors of one memory share a storage.
void writeTorchFile(const std::string& path, const TensorTable& tensors, TorchFormat format);

}  // namespace seprog
