#include "editor.h"

#include "../error.h"

namespace seprog {

void checkNotes(const RowNotes& notes, int64_t rows) {
  if (!notes.gold.empty() && static_cast<int64_t>(notes.gold.size()) != rows) {
    fail(ErrorCode::DataInvalid, "expected one edit or -1 for each of the " + std::to_string(rows) +
                                     " rows for `goldEdits` but received " +
                                     std::to_string(notes.gold.size()));
  }
  const auto demandRows = [&](const TokenRows& view, const char* name) {
    if (view.rows() == 0 || view.rows() == rows) return;
    fail(ErrorCode::DataInvalid, "expected one row for each of the " + std::to_string(rows) +
                                     " rows for `views." + name + "` but received " +
                                     std::to_string(view.rows()));
  };
  demandRows(notes.views.classifier, "classifier");
  demandRows(notes.views.counterfactual, "counterfactual");
}

Replies Scorer::answer(const PairRows& batch, const RowNotes& notes, const GenerateOptions& options,
                       JobContext& context) const {
  return {generate(batch.source, notes, options, context), score(batch, notes, context)};
}

Figures Editor::calibrate(const EpisodeBatch&, JobContext&) {
  fail(ErrorCode::Unsupported,
       "expected an editor whose start depends on data for `calibrate` but received one of kind " + kind() +
           "; leave it out");
}

}  // namespace seprog
