// Editors without a training phase: a checkpoint is their description, and nothing else.
#pragma once

#include <memory>
#include <string>

#include "model_scorer.h"

namespace seprog {

class UntrainedEditor : public Editor {
 public:
  /// UNSUPPORTED: there is nothing to train.
  Figures trainStep(const EpisodeBatch& batch, StepRate rate, JobContext& context) override;
  Figures validate(const EpisodeBatch& batch, JobContext& context) override;
  /// editor.json alone.
  void save(const std::string& directory, bool withOptimizer) const override;
  /// Throws CHECKPOINT_INVALID for a description of another kind, other options or another base model.
  void restore(const std::string& directory, bool withOptimizer) override;
  const std::string& kind() const override { return kind_; }
  /// Over the options and the base model's weights.
  std::string fingerprint() const override;

 protected:
  /// `spec`: every option, defaults filled in.
  UntrainedEditor(std::string kind, Json spec, std::shared_ptr<const Model> base);

  const std::shared_ptr<const Model>& base() const { return base_; }
  /// Kind and fingerprint: what edited models carry to be told from those of other editors.
  std::string madeBy() const { return kind_ + " " + fingerprint(); }

  /// The model edited by this editor that `onto` is, nullptr for the base. Throws UNSUPPORTED for all others.
  template <typename Edited>
  const Edited* editedBelow(const Scorer& onto) const {
    demandBase(onto, *base_);
    if (isBaseScorer(onto)) return nullptr;
    const auto* edited = dynamic_cast<const Edited*>(&onto);
    if (edited == nullptr || edited->madeBy() != madeBy()) refuse(edited == nullptr ? "" : edited->madeBy());
    return edited;
  }

 private:
  [[noreturn]] void refuse(const std::string& editor) const;
  const std::string& baseChecksum() const;

  std::string kind_;
  std::string spec_;
  std::shared_ptr<const Model> base_;
  mutable std::string baseChecksum_;  // empty: not computed yet
};

}  // namespace seprog
