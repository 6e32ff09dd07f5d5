#include "serac_spec.h"

#include "../../error.h"
#include "../../options.h"

namespace seprog {
namespace {

void demand(bool holds, const std::string& what, const std::string& key, double received) {
  if (holds) return;
  fail(ErrorCode::ConfigInvalid,
       "expected " + what + " for `editor." + key + "` but received " + Json(received).dump());
}

/// The folder a model starts from; empty for the base.
std::string directoryOf(Options& options, const char* key) {
  Options model = options.child(key);
  std::string path;
  if (model.choice("source", {"base", "directory"}, "base") == "directory") path = model.string("path");
  model.finish();
  return path;
}

double weightOf(Options& options, const char* key, double usual) {
  const double weight = options.number(key, usual);
  demand(weight >= 0, "a number of 0 or more", key, weight);
  return weight;
}

}  // namespace

SeracSpec readSeracSpec(const Json& json) {
  Options options(json, "editor");
  SeracSpec spec;
  options.choice("kind", {"serac"});
  const int64_t seed = options.integer("seed", 0);
  demand(seed >= 0, "a whole number of 0 or more", "seed", static_cast<double>(seed));
  spec.seed = static_cast<uint64_t>(seed);
  spec.scopeClassifier =
      options.choice("scopeClassifier", {"embedding", "cross_attention"}, "embedding") == "embedding"
          ? ScopeClassifier::Embedding
          : ScopeClassifier::CrossAttention;
  spec.classifierDirectory = directoryOf(options, "classifier");
  spec.counterfactualDirectory = directoryOf(options, "counterfactual");
  spec.counterfactualWeight = weightOf(options, "cEdit", spec.counterfactualWeight);
  spec.scopeWeight = weightOf(options, "cLoc", spec.scopeWeight);
  spec.threshold = options.number("threshold", spec.threshold);
  demand(spec.threshold > 0 && spec.threshold < 1, "a number between 0 and 1", "threshold", spec.threshold);
  spec.useAllNegatives = options.boolean("useAllNegatives", spec.useAllNegatives);
  spec.softWeighting = options.boolean("softWeighting", spec.softWeighting);
  spec.clipNorm = options.number("clipNorm", spec.clipNorm);
  demand(spec.clipNorm > 0, "a number above 0", "clipNorm", spec.clipNorm);
  spec.microBatch = options.integer("microBatch", spec.microBatch);
  demand(spec.microBatch >= 1, "a whole number of 1 or more", "microBatch",
         static_cast<double>(spec.microBatch));
  spec.optimizer = readAdamOptions(options.child("optimizer"));
  options.finish();
  return spec;
}

Json resolvedSpec(const SeracSpec& spec) {
  return Json::Object{
      {"kind", "serac"},
      {"seed", static_cast<int64_t>(spec.seed)},
      {"scopeClassifier",
       spec.scopeClassifier == ScopeClassifier::Embedding ? "embedding" : "cross_attention"},
      {"cEdit", spec.counterfactualWeight},
      {"cLoc", spec.scopeWeight},
      {"useAllNegatives", spec.useAllNegatives},
      {"clipNorm", spec.clipNorm},
      {"optimizer", Json::Object{{"beta1", spec.optimizer.beta1},
                                 {"beta2", spec.optimizer.beta2},
                                 {"epsilon", spec.optimizer.epsilon},
                                 {"weightDecay", spec.optimizer.weightDecay}}},
  };
}

}  // namespace seprog
