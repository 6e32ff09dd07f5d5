// The options of a SLAG editor (slag.md sections 2, 3 and 5).
#pragma once

#include <cstdint>

#include "../../json.h"
#include "../../train/optimizer.h"

namespace seprog {

/// How the objective reaches the hypernetwork: two_stage through ∂L/∂(W + acc), create_graph through one graph over
/// all inner steps, the reference of the first.
enum class SlagHypergradient { TwoStage, CreateGraph };

struct SlagSpec {
  uint64_t seed = 0;
  int64_t innerSteps = 5;  // k
  double maxScale = 1;
  int64_t lstmWidth = 128;  // per direction
  int64_t conditionWidth = 1024;
  int64_t conditionerWidth = 128;
  double mainWeight = 1;        // λ_main
  double paraphraseWeight = 1;  // λ_par
  double klWeight = 1;          // λ_KL
  int64_t otherRows = 15;       // rows of random data beside an edit
  bool klMaskPads = true;
  int64_t sequentialTrain = 10;  // r
  double clipNorm = 1;
  int64_t microBatch = 16;  // rows of a pass
  SlagHypergradient hypergradient = SlagHypergradient::TwoStage;
  AdamOptions optimizer;
};

/// Throws CONFIG_INVALID.
SlagSpec readSlagSpec(const Json& json);
/// The options with their defaults, as a checkpoint keeps them.
Json resolvedSpec(const SlagSpec& spec);

/// λ's of the terms that are there, which sum to 1 (slag.md section 5).
struct TermWeights {
  double main = 0;
  double paraphrase = 0;
  double kl = 0;
};
TermWeights termWeights(const SlagSpec& spec, bool hasParaphrase, bool hasOthers);

}  // namespace seprog
