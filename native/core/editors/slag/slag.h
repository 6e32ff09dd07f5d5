// SLAG: a network that reads an edit and turns its gradients into updates, one edit after another (slag.md).
#pragma once

#include <memory>

#include "../editor.h"

namespace seprog {

/// Spec keys (all but kind have defaults): kind, seed, innerSteps 5, maxScale 1, lstmWidth 128, conditionWidth 1024,
/// conditionerWidth 128, mainWeight 1, paraphraseWeight 1, klWeight 1, otherRows 15, klMaskPads true, sequentialTrain
/// 10, clipNorm 1, microBatch 16, hypergradient two_stage|create_graph, optimizer {kind adam|adamw, beta1 .9, beta2
/// .999, epsilon 1e-8, weightDecay 0}. `editText` of its batches and requests is the condition text "{what the base
/// says} >> {y_e} || {x_e}" in ids of the base's tokenizer. Throws CONFIG_INVALID.
std::shared_ptr<Editor> makeSlag(const Json& spec, std::shared_ptr<const Model> base);

}  // namespace seprog
