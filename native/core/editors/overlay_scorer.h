// Edited models that are the base with other weights in some places: those of FT, ENN, SLAG and MEND.
#pragma once

#include <memory>
#include <string>

#include "editor.h"

namespace seprog {

/// Answers by `edited`, which shares what it does not replace. `original` is what drawdown is measured against
/// (metrics.md section 2), also where an editor has trained other weights than the edited ones. `madeBy` is the
/// kind and fingerprint of the editor, as overlayBelow() asks for it.
std::shared_ptr<Scorer> overlayScorer(std::shared_ptr<const Model> original, Weights edited,
                                      std::string madeBy, Figures editFigures);

/// The weights `onto` answers by; nullptr for the base itself. Throws UNSUPPORTED for an edited model of another
/// editor or of another base model.
const Weights* overlayBelow(const Scorer& onto, const Model& base, const std::string& madeBy);

}  // namespace seprog
