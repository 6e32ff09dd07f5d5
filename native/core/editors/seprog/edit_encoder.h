// The stack that reads edit texts: the encoder of a base model or of a Hugging Face folder, without its
// decoder.
#pragma once

#include <string>

#include "../../models/model.h"

namespace seprog {

/// The encoder of `model` as a model of its own, sharing storage. Throws UNSUPPORTED for a family without
/// one.
Model encoderOf(const Model& model);

/// Loads the encoder of a Hugging Face folder, which need hold no decoder and no head. Throws as loadModel()
/// and encoderOf() do.
Model loadEncoder(const std::string& directory, const at::Device& device);

}  // namespace seprog
