// SP-FINETUNE at edit time (ablations.md section 2, reading B): base matrices are fitted to the edits behind
// their own prompts.
#pragma once

#include "../editor.h"
#include "seprog_modules.h"

namespace seprog {

struct EditTimeFit {
  Model model;  // the base with W + R in place of the fitted matrices
  Figures figures;
};

/// H_KH: the edits' memory, computed before and kept. The prompts pr(x_e, Z_e) follow the encoder as it changes,
/// gradient included: the loss is that of the answers the edited model gives. Throws DATA_INVALID, NON_FINITE.
EditTimeFit fitToEdits(const Model& base, const SeprogModules& modules, const at::Tensor& H_KH,
                       const PairRows& edits, JobContext& context);

}  // namespace seprog
