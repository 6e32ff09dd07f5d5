// Editors without a training phase: a checkpoint is their description, and nothing else.
#pragma once

#include <memory>
#include <string>

#include "editor_of_base.h"
#include "model_scorer.h"

namespace seprog {

class UntrainedEditor : public EditorOfBase {
 public:
  /// UNSUPPORTED: there is nothing to train.
  Figures trainStep(const EpisodeBatch& batch, StepRate rate, JobContext& context) override;
  Figures validate(const EpisodeBatch& batch, JobContext& context) override;
  /// editor.json alone.
  void save(const std::string& directory, bool withOptimizer) const override;
  /// Throws CHECKPOINT_INVALID for a description of another kind, other options or another base model.
  void restore(const std::string& directory, bool withOptimizer) override;
  /// Over the options and the base model's weights.
  std::string fingerprint() const override;

 protected:
  /// `spec`: every option, defaults filled in.
  UntrainedEditor(std::string kind, Json spec, std::shared_ptr<const Model> base);

  /// The model edited by this editor that `onto` is, nullptr for the base. Throws UNSUPPORTED for all others.
  template <typename Edited>
  const Edited* editedBelow(const Scorer& onto) const {
    demandBase(onto, *base());
    if (isBaseScorer(onto)) return nullptr;
    const auto* edited = dynamic_cast<const Edited*>(&onto);
    if (edited == nullptr || edited->madeBy() != madeBy()) refuse(edited == nullptr ? "" : edited->madeBy());
    return edited;
  }

 private:
  [[noreturn]] void refuse(const std::string& editor) const;

  std::string spec_;
};

}  // namespace seprog
