// A data-dependent start of SEPROG's projections, an option of ours (the paper starts them at random).
#pragma once

#include <ATen/core/Tensor.h>

#include "../../editors/editor.h"
#include "seprog_modules.h"

namespace seprog {

/// Parameters in which edit i and an input x in its scope agree from the first step on. The pooled states of
/// a base and of an edit encoder that starts from it already tell subjects apart once they are whitened;
/// random projections hide it. z_KDe: pooled edit encodings; bIn_KDb: pooled base encodings of an in-scope
/// input each; bOut_RDb: of other inputs. An edit encoder of its own folder may differ from the base's in
/// everything: then the canonical directions of the pairs take the place of the common whitening. Throws
/// DATA_INVALID when there are too few rows or when edits and their inputs do not resemble each other.
/// Figures: "selectLogit" (mean of q·h/√h over the pairs, 8 by construction), "otherLogitDeviation" (its
/// deviation over all pairings).
struct WhitenedStart {
  TensorTable parameters;
  Figures figures;
};
WhitenedStart whitenedStart(const SeprogModules& modules, const at::Tensor& z_KDe, const at::Tensor& bIn_KDb,
                            const at::Tensor& bOut_RDb);

}  // namespace seprog
