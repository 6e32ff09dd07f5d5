// The decoded options of a SERAC editor (serac.md sections 2 to 4).
#pragma once

#include <cstdint>
#include <string>

#include "../../json.h"
#include "../../train/optimizer.h"

namespace seprog {

/// How an input and an edit are compared: each text encoded by itself, or both read as one.
enum class ScopeClassifier { Embedding, CrossAttention };

struct SeracSpec {
  uint64_t seed = 0;  // of heads that a checkpoint lacks
  ScopeClassifier scopeClassifier = ScopeClassifier::Embedding;
  std::string classifierDirectory;      // empty: starts from the base's encoder
  std::string counterfactualDirectory;  // empty: starts from the base
  double counterfactualWeight = 0.1;    // c_e
  double scopeWeight = 1.0;             // c_loc
  double threshold = 0.5;               // in scope iff β is above it
  bool useAllNegatives = false;         // K·K of an episode, not its K pairs by position
  bool softWeighting = false;           // mixes both answers by β, where β is above the threshold or not
  double clipNorm = 100.0;
  int64_t microBatch = 16;  // rows a pass
  AdamOptions optimizer;
};

/// Throws CONFIG_INVALID naming the option.
SeracSpec readSeracSpec(const Json& spec);

/// What editor.json keeps of the spec: every option that shapes the weights or their meaning, defaults filled in.
Json resolvedSpec(const SeracSpec& spec);

}  // namespace seprog
