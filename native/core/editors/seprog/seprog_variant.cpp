#include "seprog_variant.h"

namespace seprog {

const std::vector<std::string>& variantNames() {
  static const std::vector<std::string> names = {"seprog",     "finetune",   "noclassifier", "noselect",
                                                 "oraclegate", "oracleedit", "softgate",     "noatt"};
  return names;
}

const std::vector<std::string>& finetuneNames() {
  static const std::vector<std::string> names = {"joint", "edit_time"};
  return names;
}

const std::vector<std::string>& finetuneParametersNames() {
  static const std::vector<std::string> names = {"last2", "all"};
  return names;
}

}  // namespace seprog
