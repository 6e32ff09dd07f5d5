#include "editor.h"

#include "../error.h"

namespace seprog {

void checkGold(const GoldEdits& gold, int64_t rows) {
  if (gold.empty() || static_cast<int64_t>(gold.size()) == rows) return;
  fail(ErrorCode::DataInvalid, "expected one edit or -1 for each of the " + std::to_string(rows) +
                                   " rows for `goldEdits` but received " + std::to_string(gold.size()));
}

Figures Editor::calibrate(const EpisodeBatch&, JobContext&) {
  fail(ErrorCode::Unsupported,
       "expected an editor whose start depends on data for `calibrate` but received one of kind " + kind() +
           "; leave it out");
}

}  // namespace seprog
