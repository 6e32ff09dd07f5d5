#include "slag_spec.h"

#include <string>

#include "../../error.h"
#include "../../options.h"

namespace seprog {
namespace {

void demand(bool holds, const std::string& what, const std::string& key, double received) {
  if (!holds) {
    fail(ErrorCode::ConfigInvalid,
         "expected " + what + " for `editor." + key + "` but received " + Json(received).dump());
  }
}

int64_t countFrom(Options& options, const std::string& key, int64_t least, int64_t fallback) {
  const int64_t count = options.integer(key, fallback);
  demand(count >= least, "a whole number of " + std::to_string(least) + " or more", key,
         static_cast<double>(count));
  return count;
}

double weightFrom(Options& options, const std::string& key, double fallback) {
  const double weight = options.number(key, fallback);
  demand(weight >= 0, "a number of 0 or more", key, weight);
  return weight;
}

const char* name(SlagHypergradient hypergradient) {
  return hypergradient == SlagHypergradient::TwoStage ? "two_stage" : "create_graph";
}

}  // namespace

SlagSpec readSlagSpec(const Json& json) {
  Options options(json, "editor");
  SlagSpec spec;
  options.choice("kind", {"slag"});
  spec.seed = static_cast<uint64_t>(countFrom(options, "seed", 0, 0));
  spec.innerSteps = countFrom(options, "innerSteps", 1, spec.innerSteps);
  spec.maxScale = options.number("maxScale", spec.maxScale);
  demand(spec.maxScale > 0, "a number above 0", "maxScale", spec.maxScale);
  spec.lstmWidth = countFrom(options, "lstmWidth", 1, spec.lstmWidth);
  spec.conditionWidth = countFrom(options, "conditionWidth", 1, spec.conditionWidth);
  spec.conditionerWidth = countFrom(options, "conditionerWidth", 1, spec.conditionerWidth);
  spec.mainWeight = options.number("mainWeight", spec.mainWeight);
  demand(spec.mainWeight > 0, "a number above 0", "mainWeight", spec.mainWeight);
  spec.paraphraseWeight = weightFrom(options, "paraphraseWeight", spec.paraphraseWeight);
  spec.klWeight = weightFrom(options, "klWeight", spec.klWeight);
  spec.otherRows = countFrom(options, "otherRows", 0, spec.otherRows);
  spec.klMaskPads = options.boolean("klMaskPads", spec.klMaskPads);
  spec.sequentialTrain = countFrom(options, "sequentialTrain", 1, spec.sequentialTrain);
  spec.clipNorm = options.number("clipNorm", spec.clipNorm);
  demand(spec.clipNorm > 0, "a number above 0", "clipNorm", spec.clipNorm);
  spec.microBatch = countFrom(options, "microBatch", 1, spec.microBatch);
  spec.hypergradient =
      options.choice("hypergradient", {"two_stage", "create_graph"}, name(spec.hypergradient)) == "two_stage"
          ? SlagHypergradient::TwoStage
          : SlagHypergradient::CreateGraph;
  spec.optimizer = readAdamOptions(options.child("optimizer"));
  options.finish();
  return spec;
}

Json resolvedSpec(const SlagSpec& spec) {
  return Json::Object{
      {"kind", "slag"},
      {"seed", static_cast<int64_t>(spec.seed)},
      {"innerSteps", spec.innerSteps},
      {"maxScale", spec.maxScale},
      {"lstmWidth", spec.lstmWidth},
      {"conditionWidth", spec.conditionWidth},
      {"conditionerWidth", spec.conditionerWidth},
      {"mainWeight", spec.mainWeight},
      {"paraphraseWeight", spec.paraphraseWeight},
      {"klWeight", spec.klWeight},
      {"otherRows", spec.otherRows},
      {"klMaskPads", spec.klMaskPads},
      {"sequentialTrain", spec.sequentialTrain},
      {"clipNorm", spec.clipNorm},
      {"microBatch", spec.microBatch},
      {"hypergradient", name(spec.hypergradient)},
      {"optimizer", Json::Object{{"kind", spec.optimizer.decoupledDecay ? "adamw" : "adam"},
                                 {"beta1", spec.optimizer.beta1},
                                 {"beta2", spec.optimizer.beta2},
                                 {"epsilon", spec.optimizer.epsilon},
                                 {"weightDecay", spec.optimizer.weightDecay}}},
  };
}

TermWeights termWeights(const SlagSpec& spec, bool hasParaphrase, bool hasOthers) {
  const double paraphrase = hasParaphrase ? spec.paraphraseWeight : 0;
  const double kl = hasOthers ? spec.klWeight : 0;
  const double sum = spec.mainWeight + paraphrase + kl;
  return {spec.mainWeight / sum, paraphrase / sum, kl / sum};
}

}  // namespace seprog
