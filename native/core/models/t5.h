// T5 v1.0 (ReLU, tied head) and v1.1 (gated GELU, untied head), driven by config.json alone. Source:
// models.md section 4.
#pragma once

#include <memory>

#include "model.h"

namespace seprog {

/// `config`: a Hugging Face config.json of model_type "t5". `T5EncoderModel` in `architectures` means the
/// encoder alone. Throws CONFIG_INVALID for bad fields, UNSUPPORTED for a feed-forward kind that is not relu
/// or gated-gelu.
std::shared_ptr<const Architecture> makeT5(const Json& config);

}  // namespace seprog
