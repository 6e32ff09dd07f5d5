#include "editor_of_base.h"

#include "../fnv.h"

namespace seprog {

EditorOfBase::EditorOfBase(std::string kind, std::shared_ptr<const Model> base)
    : kind_(std::move(kind)), base_(std::move(base)) {}

const std::string& EditorOfBase::baseChecksum() const {
  if (baseChecksum_.empty()) baseChecksum_ = hex(base_->weights.checksum());
  return baseChecksum_;
}

}  // namespace seprog
