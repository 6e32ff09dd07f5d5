#include "config_fields.h"

#include "../error.h"

namespace seprog {

int64_t integerFrom(Options& options, const std::string& key, int64_t lowest,
                    std::optional<int64_t> fallback) {
  const int64_t value = options.integer(key, fallback);
  if (value < lowest) {
    fail(ErrorCode::ConfigInvalid, "expected a whole number of at least " + std::to_string(lowest) +
                                       " for `config." + key + "` but received " + std::to_string(value));
  }
  return value;
}

int64_t tokenFrom(Options& options, const std::string& key, int64_t vocabulary, int64_t fallback) {
  const int64_t id = integerFrom(options, key, 0, fallback);
  if (id >= vocabulary) {
    fail(ErrorCode::ConfigInvalid, "expected an id below vocab_size " + std::to_string(vocabulary) +
                                       " for `config." + key + "` but received " + std::to_string(id));
  }
  return id;
}

Activation activationFrom(Options& options, const std::string& key, const std::string& fallback) {
  const std::string name = options.string(key, fallback);
  if (name == "gelu") return Activation::Gelu;
  if (name == "gelu_new") return Activation::GeluNew;
  if (name == "relu") return Activation::Relu;
  fail(ErrorCode::Unsupported, "expected one of \"gelu\", \"gelu_new\", \"relu\" for `config." + key +
                                   "` but received \"" + name + "\"");
}

bool hasClass(const Json& config, std::string_view name) {
  const Json* classes = config.find("architectures");
  if (classes == nullptr || !classes->isArray()) return false;
  for (const Json& entry : classes->array()) {
    if (entry.isString() && entry.string() == name) return true;
  }
  return false;
}

}  // namespace seprog
