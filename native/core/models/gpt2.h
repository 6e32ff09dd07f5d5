// GPT-2 and DistilGPT2: a pre-norm decoder alone, answers go on where the source ends. Source: models.md
// section 7.
#pragma once

#include <memory>

#include "model.h"

namespace seprog {

/// `config`: a Hugging Face config.json of model_type "gpt2". Throws CONFIG_INVALID for bad fields,
/// UNSUPPORTED for attention scaled otherwise and for a head of its own. A source row without a token cannot
/// be continued: DATA_INVALID.
std::shared_ptr<const Architecture> makeGpt2(const Json& config);

}  // namespace seprog
