#include "enn_spec.h"

#include <cmath>
#include <string>

#include "../../error.h"
#include "../../options.h"

namespace seprog {
namespace {

const char* name(Hypergradient way) { return way == Hypergradient::TwoStage ? "two_stage" : "create_graph"; }

void demand(bool holds, const std::string& what, const std::string& key, double received) {
  if (holds) return;
  fail(ErrorCode::ConfigInvalid,
       "expected " + what + " for `editor." + key + "` but received " + Json(received).dump());
}

int64_t positive(Options& options, const std::string& key, int64_t fallback) {
  const int64_t value = options.integer(key, fallback);
  demand(value >= 1, "a whole number of 1 or more", key, static_cast<double>(value));
  return value;
}

double notNegative(Options& options, const std::string& key, double fallback) {
  const double value = options.number(key, fallback);
  demand(std::isfinite(value) && value >= 0, "a number of 0 or more", key, value);
  return value;
}

}  // namespace

EnnSpec readEnnSpec(const Json& json) {
  Options options(json, "editor");
  EnnSpec spec;
  options.choice("kind", {"enn"});
  options.integer("seed", 0);  // every editor is told; nothing here is drawn
  spec.innerSteps = positive(options, "innerSteps", spec.innerSteps);
  spec.innerRate = options.number("innerRate", spec.innerRate);
  demand(std::isfinite(spec.innerRate), "a finite number", "innerRate", spec.innerRate);
  spec.innerRateLearningRate = notNegative(options, "innerRateLearningRate", spec.innerRateLearningRate);
  spec.hypergradient =
      options.choice("hypergradient", {"two_stage", "create_graph"}, "two_stage") == "two_stage"
          ? Hypergradient::TwoStage
          : Hypergradient::CreateGraph;
  spec.firstOrder = options.boolean("firstOrder", spec.firstOrder);
  spec.cEdit = notNegative(options, "cEdit", spec.cEdit);
  spec.cLoc = notNegative(options, "cLoc", spec.cLoc);
  spec.cBase = notNegative(options, "cBase", spec.cBase);
  spec.clipNorm = options.number("clipNorm", spec.clipNorm);
  demand(spec.clipNorm > 0, "a number above 0", "clipNorm", spec.clipNorm);
  spec.microBatch = positive(options, "microBatch", spec.microBatch);
  spec.optimizer = readAdamOptions(options.child("optimizer"));
  options.finish();
  return spec;
}

Json resolvedSpec(const EnnSpec& spec) {
  return Json::Object{
      {"kind", "enn"},
      {"innerSteps", spec.innerSteps},
      {"innerRate", spec.innerRate},
      {"innerRateLearningRate", spec.innerRateLearningRate},
      {"hypergradient", name(spec.hypergradient)},
      {"firstOrder", spec.firstOrder},
      {"cEdit", spec.cEdit},
      {"cLoc", spec.cLoc},
      {"cBase", spec.cBase},
      {"clipNorm", spec.clipNorm},
      {"microBatch", spec.microBatch},
      {"optimizer", Json::Object{{"beta1", spec.optimizer.beta1},
                                 {"beta2", spec.optimizer.beta2},
                                 {"epsilon", spec.optimizer.epsilon},
                                 {"weightDecay", spec.optimizer.weightDecay}}},
  };
}

}  // namespace seprog
