// The baseline of prompting: the edit whose text is nearest to a question is put before it, and the frozen base answers.
#pragma once

#include <memory>

#include "editor.h"

namespace seprog {

/// Spec: kind; `encoder` {source: base} or {source: directory, path}: whose mean-pooled states texts are compared by;
/// `threshold` −1: a question with a cosine of at most this to every edit is left alone; microBatch 16 (texts of a
/// pass); a seed that is ignored. Scope logits are cosine − threshold.
///
/// Edits are read by the encoder as EditRequests::editText and stand before a question as EditRequests::editPrefix,
/// which is therefore needed; a question is read as RowViews::classifier and stands behind an edit as
/// RowViews::counterfactual, or as its source where there are no views; between texts that are continued stands the
/// end of text. Where both are too long for the model's
/// positions, the edit is cut on the left, behind its first token where texts of the family begin with one of their
/// own. Throws CONFIG_INVALID, and as loadEncoder() does.
std::shared_ptr<Editor> makeNearest(const Json& spec, std::shared_ptr<const Model> base);

}  // namespace seprog
