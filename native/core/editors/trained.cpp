#include "trained.h"

#include "../error.h"
#include "../fnv.h"

namespace seprog {

TrainedEditor::TrainedEditor(std::string kind, std::shared_ptr<const Model> base)
    : EditorOfBase(std::move(kind), std::move(base)) {}

std::string TrainedEditor::fingerprint() const {
  if (fingerprint_.empty()) fingerprint_ = hex(Weights(learned()).checksum());
  return fingerprint_;
}

void TrainedEditor::demandOneGrouping(const EpisodeBatch& batch) const {
  if (batch.regroupings.empty()) return;
  fail(ErrorCode::Unsupported,
       "expected rows that are seen as episodes of one size for `regroupings` "
       "of an editor of kind " +
           kind() + " but received several; set `training.kMixing` to \"drawn\"");
}

}  // namespace seprog
