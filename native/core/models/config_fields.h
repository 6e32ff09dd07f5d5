// Fields of config.json that the families read alike.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "../json.h"
#include "../layers/activation.h"
#include "../options.h"

namespace seprog {

/// A whole number of at least `lowest`; throws CONFIG_INVALID.
int64_t integerFrom(Options& options, const std::string& key, int64_t lowest,
                    std::optional<int64_t> fallback = {});

/// A token id below `vocabulary`; throws CONFIG_INVALID.
int64_t tokenFrom(Options& options, const std::string& key, int64_t vocabulary, int64_t fallback);

/// "gelu" | "gelu_new" | "relu"; throws UNSUPPORTED for another.
Activation activationFrom(Options& options, const std::string& key, const std::string& fallback);

/// Whether `architectures` names this Hugging Face class.
bool hasClass(const Json& config, std::string_view name);

}  // namespace seprog
