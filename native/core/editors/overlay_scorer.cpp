#include "overlay_scorer.h"

#include "../error.h"
#include "model_scorer.h"

namespace seprog {

std::shared_ptr<Scorer> overlayScorer(std::shared_ptr<const Model> original, Weights edited,
                                      std::string madeBy, Figures editFigures) {
  return std::make_shared<ModelScorer>(std::move(original), std::move(edited), std::move(madeBy),
                                       std::move(editFigures));
}

const Weights* overlayBelow(const Scorer& onto, const Model& base, const std::string& madeBy) {
  demandBase(onto, base);
  if (isBaseScorer(onto)) return nullptr;
  const auto* overlay = dynamic_cast<const ModelScorer*>(&onto);
  if (overlay == nullptr || overlay->madeBy() != madeBy) {
    fail(ErrorCode::Unsupported, "expected a base model or a model edited by " + madeBy +
                                     " for `onto` but received one edited by " +
                                     (overlay == nullptr ? "another kind of editor" : overlay->madeBy()) +
                                     "; edits of one editor go on top of its own");
  }
  return &overlay->weights();
}

}  // namespace seprog
