// The editors this build knows. A new editor is a line here.
#include <functional>
#include <map>
#include <string>

#include "../error.h"
#include "../instrument/memory_role.h"
#include "editor.h"
#include "enn/enn.h"
#include "ft.h"
#include "lookup.h"
#include "mend/mend.h"
#include "nearest.h"
#include "seprog/seprog.h"
#include "serac/serac.h"
#include "slag/slag.h"

namespace seprog {
namespace {

using Maker = std::function<std::shared_ptr<Editor>(const Json&, std::shared_ptr<const Model>)>;

const std::map<std::string, Maker>& makers() {
  // clang-format off
  static const std::map<std::string, Maker> table = {
      {"enn", makeEnn},
      {"ft", makeFt},
      {"lookup", makeLookup},
      {"mend", makeMend},
      {"nearest", makeNearest},
      {"seprog", makeSeprog},
      {"serac", makeSerac},
      {"slag", makeSlag},
  };
  // clang-format on
  return table;
}

}  // namespace

std::shared_ptr<Editor> makeEditor(const Json& spec, std::shared_ptr<const Model> base) {
  const Json* kind = spec.find("kind");
  const auto maker = kind != nullptr && kind->isString() ? makers().find(kind->string()) : makers().end();
  if (maker == makers().end()) {
    std::string known;
    for (const auto& [name, make] : makers()) known += (known.empty() ? "\"" : ", \"") + name + "\"";
    fail(ErrorCode::ConfigInvalid, "expected one of " + known + " for `editor.kind` but received " +
                                       (kind == nullptr ? std::string("nothing") : kind->dump()));
  }
  const RoleScope role(MemoryRole::Editor);
  return maker->second(spec, std::move(base));
}

}  // namespace seprog
