// What families that answer with a class id share. B rows, S source columns, P prompt rows, D
// width in front of the head, C classes.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "../layers/linear.h"
#include "../layers/ragged.h"
#include "../options.h"
#include "../tensor/token_batch.h"
#include "../tensor/weights.h"
#include "model.h"

namespace seprog {

/// Logits of the classifier: `num_labels`, else the size of `id2label`, else `usual`, which is 2 for Hugging Face.
/// Throws CONFIG_INVALID below 1.
int64_t logitsFrom(Options& options, int64_t usual = 2);

/// [CLS] and [SEP]: `cls_token_id` and `sep_token_id`, else 101 and 102 in vocabularies of the hub's size, else
/// the pad id. A classifier decodes nothing: as startId() and stopId() they only say behind which id words begin.
struct SpecialIds {
  int64_t cls;
  int64_t sep;
};
SpecialIds specialsFrom(Options& options, int64_t vocabulary, int64_t padId);

/// One logit ℓ is two classes with logits [0, ℓ]: softmax and arg-max then say σ(ℓ) and ℓ > 0.
inline int64_t classesOf(int64_t logits) { return logits == 1 ? 2 : logits; }

/// Throws WEIGHT_MISSING for an encoder without a head, saying what to do.
void demandHead(const Weights& weights);

/// `classifier.weight` and `classifier.bias` as a head over classes, a row of zeros before a single logit;
/// gradients reach both tensors. Throws as demandHead() does.
Head classHead(const Weights& weights);

/// Throws DATA_INVALID for a row without a token: [CLS] is what a classifier reads.
void demandFirstTokens(const TokenBatch& source);

/// Throws DATA_INVALID when prompt and source together need more positions than the table has.
void demandPositions(int64_t needed, int64_t available);

/// The positions of a pass over [pr ; source], P prompt rows each, and where the first token of a source stands.
struct PromptedRows {
  RaggedLayout layout;  // B rows of P + S columns
  at::Tensor mask;      // over keys, prompt rows always visible; undefined without padding
  at::Tensor first_B;   // packed rows
};
PromptedRows promptedRows(const TokenBatch& source, int64_t prompts);

/// Class logits [B, C] as the one answer there is; a further token is INTERNAL.
std::unique_ptr<DecodeState> classState(at::Tensor logits_BC);

}  // namespace seprog
