#include "positions.h"

#include <string>

#include "../error.h"

namespace seprog {

void demandPositions(int64_t positions, int64_t table, const char* what) {
  if (positions <= table) return;
  fail(ErrorCode::DataInvalid, "expected at most " + std::to_string(table) + " positions for `" + what +
                                   "` but received " + std::to_string(positions) +
                                   "; shorten the text or the prompt");
}

}  // namespace seprog
