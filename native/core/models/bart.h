// BART: post-norm encoder and decoder, learned positions, tied head. Source: models.md section 5.
#pragma once

#include <memory>

#include "model.h"

namespace seprog {

/// `config`: a Hugging Face config.json of model_type "bart". `BartEncoder` in `architectures` means the
/// encoder alone. What the config says of decoding (beams, forced tokens, n-gram bans) is not obeyed. Throws
/// CONFIG_INVALID for bad fields, UNSUPPORTED for variants of other papers (pre-norm, fixed positions, a head
/// of its own).
std::shared_ptr<const Architecture> makeBart(const Json& config);

}  // namespace seprog
