// DistilBERT with a classification head (models.md section 6).
#pragma once

#include <memory>

#include "model.h"

namespace seprog {

/// `config`: a Hugging Face config.json of model_type "distilbert". `DistilBertModel` in `architectures` means
/// the encoder alone. Throws CONFIG_INVALID for bad fields, UNSUPPORTED for another activation than gelu.
std::shared_ptr<const Architecture> makeDistilBert(const Json& config);

}  // namespace seprog
