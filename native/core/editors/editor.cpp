#include "editor.h"

#include "../error.h"

namespace seprog {

Figures Editor::calibrate(const EpisodeBatch&, JobContext&) {
  fail(ErrorCode::Unsupported,
       "expected an editor whose start depends on data for `calibrate` but received one of kind " + kind() +
           "; leave it out");
}

}  // namespace seprog
