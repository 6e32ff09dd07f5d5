#include "mend_spec.h"

#include <algorithm>

#include "../../error.h"
#include "../../options.h"

namespace seprog {
namespace {

const std::vector<std::string> kHypergradients = {"two_stage", "create_graph"};
const std::vector<std::string> kStarts = {"identity", "xavier"};
const std::vector<std::string> kDraws = {"normal", "xavier"};
const std::vector<std::string> kReductions = {"mean", "sum"};
const std::vector<std::string> kTransforms = {"combined", "separate", "x_only", "delta_only", "one_sided"};

/// The value of an option whose choices stand in the order of their enumeration.
template <typename Enum>
Enum enumOf(Options& options, const char* key, const std::vector<std::string>& names) {
  const std::string chosen = options.choice(key, names, names.front());
  return static_cast<Enum>(std::find(names.begin(), names.end(), chosen) - names.begin());
}

template <typename Enum>
const std::string& nameOf(Enum value, const std::vector<std::string>& names) {
  return names[static_cast<size_t>(value)];
}

void demand(bool holds, const std::string& what, const std::string& key, double received) {
  if (!holds) {
    fail(ErrorCode::ConfigInvalid,
         "expected " + what + " for `editor." + key + "` but received " + Json(received).dump());
  }
}

double atLeastZero(Options& options, const char* key, double usual) {
  const double value = options.number(key, usual);
  demand(value >= 0, "a number of 0 or more", key, value);
  return value;
}

int64_t atLeast(Options& options, const char* key, int64_t least, int64_t usual) {
  const int64_t value = options.integer(key, usual);
  demand(value >= least, "a whole number of " + std::to_string(least) + " or more", key,
         static_cast<double>(value));
  return value;
}

}  // namespace

MendSpec readMendSpec(const Json& json) {
  Options options(json, "editor");
  MendSpec spec;
  options.choice("kind", {"mend"});
  spec.seed = static_cast<uint64_t>(atLeast(options, "seed", 0, 0));
  spec.cEdit = atLeastZero(options, "cEdit", spec.cEdit);
  spec.cLoc = atLeastZero(options, "cLoc", spec.cLoc);
  spec.alphaInit = options.number("alphaInit", spec.alphaInit);
  spec.alphaLearningRate = atLeastZero(options, "alphaLearningRate", spec.alphaLearningRate);
  spec.clipNorm = options.number("clipNorm", spec.clipNorm);
  demand(spec.clipNorm > 0, "a number above 0", "clipNorm", spec.clipNorm);
  spec.rank = atLeast(options, "rank", 1, spec.rank);
  spec.microBatch = atLeast(options, "microBatch", 1, spec.microBatch);
  spec.keepMiB = atLeast(options, "keepMiB", 0, spec.keepMiB);
  spec.hypergradient = enumOf<Hypergradient>(options, "hypergradient", kHypergradients);
  spec.shared = options.boolean("shared", spec.shared);
  spec.norm = options.boolean("norm", spec.norm);
  spec.descent = options.boolean("descent", spec.descent);
  spec.init = enumOf<NetworkStart>(options, "init", kStarts);
  spec.projectionDraw = enumOf<ProjectionDraw>(options, "projectionDraw", kDraws);
  spec.transform = enumOf<FactorTransform>(options, "transform", kTransforms);
  spec.reduction = enumOf<EditReduction>(options, "reduction", kReductions);
  spec.optimizer = readAdamOptions(options.child("optimizer"));
  options.finish();
  return spec;
}

Json resolvedSpec(const MendSpec& spec) {
  return Json::Object{
      {"kind", "mend"},
      {"seed", static_cast<int64_t>(spec.seed)},
      {"cEdit", spec.cEdit},
      {"cLoc", spec.cLoc},
      {"alphaInit", spec.alphaInit},
      {"alphaLearningRate", spec.alphaLearningRate},
      {"clipNorm", spec.clipNorm},
      {"rank", spec.rank},
      {"shared", spec.shared},
      {"norm", spec.norm},
      {"descent", spec.descent},
      {"init", nameOf(spec.init, kStarts)},
      {"projectionDraw", nameOf(spec.projectionDraw, kDraws)},
      {"transform", nameOf(spec.transform, kTransforms)},
      {"reduction", nameOf(spec.reduction, kReductions)},
      {"optimizer", Json::Object{{"beta1", spec.optimizer.beta1},
                                 {"beta2", spec.optimizer.beta2},
                                 {"epsilon", spec.optimizer.epsilon},
                                 {"weightDecay", spec.optimizer.weightDecay}}},
  };
}

const std::vector<std::string>& meaningOfMend() {
  static const std::vector<std::string> keys = {"shared", "norm",      "descent",
                                                "init",   "transform", "reduction"};
  return keys;
}

}  // namespace seprog
