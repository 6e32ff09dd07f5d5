// BERT with a classification head (models.md section 6).
#pragma once

#include <memory>

#include "model.h"

namespace seprog {

/// `config`: a Hugging Face config.json of model_type "bert". `BertModel` in `architectures` means the encoder
/// alone, without pooler and head. `problem_type` is not read: an answer is the class of the largest logit, of
/// [0, ℓ] where there is one. Throws CONFIG_INVALID for bad fields, UNSUPPORTED for another activation than
/// gelu or other than absolute positions.
std::shared_ptr<const Architecture> makeBert(const Json& config);

}  // namespace seprog
