// Base model families by the `model_type` of config.json. A new family is one file here and one line below.
#include "../error.h"
#include "bart.h"
#include "bert.h"
#include "distilbert.h"
#include "gpt2.h"
#include "model.h"
#include "t5.h"

namespace seprog {
namespace {

struct Family {
  const char* modelType;
  std::shared_ptr<const Architecture> (*make)(const Json& config);
};
constexpr Family kFamilies[] = {{"t5", makeT5},
                                {"bart", makeBart},
                                {"bert", makeBert},
                                {"distilbert", makeDistilBert},
                                {"gpt2", makeGpt2}};

}  // namespace

std::shared_ptr<const Architecture> makeArchitecture(const Json& config) {
  const Json* type = config.find("model_type");
  if (type == nullptr || !type->isString()) {
    fail(ErrorCode::ConfigInvalid, "expected a string for `config.model_type` but received " +
                                       (type == nullptr ? std::string("nothing") : type->dump()));
  }
  std::string known;
  for (const Family& family : kFamilies) {
    if (type->string() == family.modelType) return family.make(config);
    known += (known.empty() ? "\"" : ", \"") + std::string(family.modelType) + "\"";
  }
  fail(ErrorCode::Unsupported,
       "expected one of " + known + " for `config.model_type` but received \"" + type->string() + "\"");
}

}  // namespace seprog
