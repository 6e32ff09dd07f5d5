// Editors that learn: their fingerprint is over what they have learned.
#pragma once

#include <memory>
#include <string>

#include "editor_of_base.h"

namespace seprog {

class TrainedEditor : public EditorOfBase {
 public:
  std::string fingerprint() const override;

 protected:
  TrainedEditor(std::string kind, std::shared_ptr<const Model> base);

  /// All that training changes and edits depend on, by name.
  virtual TensorTable learned() const = 0;
  /// Behind every change of it.
  void changed() { fingerprint_.clear(); }
  /// Throws UNSUPPORTED for a batch that is to be seen as episodes of several
  /// sizes: for editors that see one.
  void demandOneGrouping(const EpisodeBatch& batch) const;

 private:
  mutable std::string fingerprint_;  // empty: not computed since the last change
};

}  // namespace seprog
