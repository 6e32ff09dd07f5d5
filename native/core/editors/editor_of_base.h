// What every editor of one base model knows of itself and of it.
#pragma once

#include <memory>
#include <string>

#include "editor.h"

namespace seprog {

class EditorOfBase : public Editor {
 public:
  const std::string& kind() const override { return kind_; }

 protected:
  EditorOfBase(std::string kind, std::shared_ptr<const Model> base);

  const std::shared_ptr<const Model>& base() const { return base_; }
  /// What checkpoints carry to be told from those of another base model:
  /// computed once.
  const std::string& baseChecksum() const;
  /// Kind and fingerprint: what edited models carry to be told from those of
  /// other editors.
  std::string madeBy() const { return kind_ + " " + fingerprint(); }

 private:
  std::string kind_;
  std::shared_ptr<const Model> base_;
  mutable std::string baseChecksum_;  // empty: not computed yet
};

}  // namespace seprog
