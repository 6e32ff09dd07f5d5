// The decoded options of an ENN editor.
#pragma once

#include <cstdint>

#include "../../json.h"
#include "../../train/hypergradient.h"

namespace seprog {

struct EnnSpec {
  int64_t innerSteps = 1;
  double innerRate = 1e-2;              // a at the start
  double innerRateLearningRate = 1e-3;  // of a; the schedule's factor applies
  Hypergradient hypergradient = Hypergradient::TwoStage;
  bool firstOrder = false;
  double cEdit = 0.1;
  double cLoc = 1.0;
  double cBase = 1.0;
  double clipNorm = 100.0;
  int64_t microBatch = 16;  // rows a chunk
  AdamOptions optimizer;
};

/// Throws CONFIG_INVALID naming the option.
EnnSpec readEnnSpec(const Json& spec);

/// What editor.json keeps of the spec, defaults filled in.
Json resolvedSpec(const EnnSpec& spec);

}  // namespace seprog
