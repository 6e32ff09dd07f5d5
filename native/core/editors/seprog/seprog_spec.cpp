#include "seprog_spec.h"

#include <algorithm>

#include "../../error.h"
#include "../../options.h"

namespace seprog {
namespace {

const char* name(Pooling pooling) {
  switch (pooling) {
    case Pooling::Mean:
      return "mean";
    case Pooling::First:
      return "first";
    case Pooling::Last:
      return "last";
  }
  return "mean";
}

Pooling poolingOf(const std::string& text) {
  if (text == "first") return Pooling::First;
  return text == "last" ? Pooling::Last : Pooling::Mean;
}

const char* name(EditActivation activation) {
  switch (activation) {
    case EditActivation::None:
      return "none";
    case EditActivation::Tanh:
      return "tanh";
    case EditActivation::Relu:
      return "relu";
  }
  return "none";
}

EditActivation activationOf(const std::string& text) {
  if (text == "tanh") return EditActivation::Tanh;
  return text == "relu" ? EditActivation::Relu : EditActivation::None;
}

void demand(bool holds, const std::string& what, const std::string& key, double received) {
  if (!holds) {
    fail(ErrorCode::ConfigInvalid,
         "expected " + what + " for `editor." + key + "` but received " + Json(received).dump());
  }
}

/// The value of an option whose choices stand in the order of their enumeration.
template <typename Enum>
Enum enumOf(Options& options, const char* key, const std::vector<std::string>& names) {
  const std::string chosen = options.choice(key, names, names.front());
  return static_cast<Enum>(std::find(names.begin(), names.end(), chosen) - names.begin());
}

void readVariant(Options& options, SeprogSpec& spec) {
  spec.variant = enumOf<Variant>(options, "variant", variantNames());
  spec.finetune = enumOf<Finetune>(options, "finetune", finetuneNames());
  spec.finetuneParameters =
      enumOf<FinetuneParameters>(options, "finetuneParameters", finetuneParametersNames());
  spec.finetuneLearningRate = options.number("finetuneLearningRate", spec.finetuneLearningRate);
  demand(spec.finetuneLearningRate >= 0, "a number of 0 or more", "finetuneLearningRate",
         spec.finetuneLearningRate);
  spec.finetuneSteps = options.integer("finetuneSteps", spec.finetuneSteps);
  demand(spec.finetuneSteps >= 1, "a whole number of 1 or more", "finetuneSteps",
         static_cast<double>(spec.finetuneSteps));
}

}  // namespace

Variant SeprogSpec::trainedAs() const {
  switch (variant) {
    case Variant::NoClassifier:
    case Variant::NoAtt:
      return variant;
    case Variant::Finetune:
      return tunesBase() ? variant : Variant::Seprog;
    case Variant::Seprog:
    case Variant::NoSelect:
    case Variant::OracleGate:
    case Variant::OracleEdit:
    case Variant::SoftGate:
      return Variant::Seprog;
  }
  return variant;
}

SeprogSpec readSeprogSpec(const Json& json) {
  Options options(json, "editor");
  SeprogSpec spec;
  options.choice("kind", {"seprog"});
  const int64_t seed = options.integer("seed", 0);
  demand(seed >= 0, "a whole number of 0 or more", "seed", static_cast<double>(seed));
  spec.seed = static_cast<uint64_t>(seed);
  readVariant(options, spec);
  spec.promptLength = options.integer("promptLength", spec.promptLength);
  demand(spec.promptLength >= 1, "a whole number of 1 or more", "promptLength",
         static_cast<double>(spec.promptLength));
  spec.hiddenWidth = options.integer("hiddenWidth", spec.hiddenWidth);
  demand(spec.hiddenWidth >= 1, "a whole number of 1 or more", "hiddenWidth",
         static_cast<double>(spec.hiddenWidth));
  spec.editPool = poolingOf(options.choice("editPool", {"mean", "first"}, "mean"));
  spec.basePool = poolingOf(options.choice("basePool", {"mean", "first", "last"}, "mean"));
  spec.editActivation = activationOf(options.choice("editActivation", {"none", "tanh", "relu"}, "none"));
  spec.scopeLayers =
      options.choice("scopeHead", {"three_layer", "two_layer"}, "three_layer") == "three_layer" ? 3 : 2;
  spec.projectionStart = options.choice("projectionStart", {"default", "whitened"}, "default") == "default"
                             ? ProjectionStart::Default
                             : ProjectionStart::Whitened;
  spec.lambda = options.number("lambda", spec.lambda);
  demand(spec.lambda >= 0 && spec.lambda <= 1, "a number in [0, 1]", "lambda", spec.lambda);
  spec.promptReduction = options.choice("promptReduction", {"token", "sequence"}, "token") == "token"
                             ? PromptReduction::Token
                             : PromptReduction::Sequence;
  spec.promptInitScale = options.number("promptInitScale", spec.promptInitScale);
  demand(spec.promptInitScale >= 0, "a number of 0 or more", "promptInitScale", spec.promptInitScale);
  spec.frequentIds = options.integer("frequentIds", spec.frequentIds);
  demand(spec.frequentIds >= 1, "a whole number of 1 or more", "frequentIds",
         static_cast<double>(spec.frequentIds));
  spec.promptPositions = options.choice("promptPositions", {"concat", "keep"}, "concat") == "concat"
                             ? PromptPositions::Concat
                             : PromptPositions::Keep;
  spec.clipNorm = options.number("clipNorm", spec.clipNorm);
  demand(spec.clipNorm > 0, "a number above 0", "clipNorm", spec.clipNorm);
  spec.optimizer = readAdamOptions(options.child("optimizer"));
  Options encoder = options.child("editEncoder");
  if (encoder.choice("source", {"base", "directory"}, "base") == "directory") {
    spec.editEncoderDirectory = encoder.string("path");
  }
  encoder.finish();
  options.finish();
  return spec;
}

Json resolvedSpec(const SeprogSpec& spec) {
  Json::Object kept = {
      {"kind", "seprog"},
      {"variant", variantNames()[static_cast<size_t>(spec.trainedAs())]},
      {"seed", static_cast<int64_t>(spec.seed)},
      {"promptLength", spec.promptLength},
      {"hiddenWidth", spec.hiddenWidth},
      {"editPool", name(spec.editPool)},
      {"basePool", name(spec.basePool)},
      {"editActivation", name(spec.editActivation)},
      {"scopeHead", spec.scopeLayers == 3 ? "three_layer" : "two_layer"},
      {"projectionStart", spec.projectionStart == ProjectionStart::Default ? "default" : "whitened"},
      {"lambda", spec.lambda},
      {"promptReduction", spec.promptReduction == PromptReduction::Token ? "token" : "sequence"},
      {"promptInitScale", spec.promptInitScale},
      {"frequentIds", spec.frequentIds},
      {"promptPositions", spec.promptPositions == PromptPositions::Concat ? "concat" : "keep"},
      {"clipNorm", spec.clipNorm},
      {"optimizer", Json::Object{{"beta1", spec.optimizer.beta1},
                                 {"beta2", spec.optimizer.beta2},
                                 {"epsilon", spec.optimizer.epsilon},
                                 {"weightDecay", spec.optimizer.weightDecay}}},
      {"editEncoder", Json::Object{{"source", spec.editEncoderDirectory.empty() ? "base" : "directory"}}},
  };
  if (spec.tunesBase()) {
    kept.emplace_back("finetuneParameters",
                      finetuneParametersNames()[static_cast<size_t>(spec.finetuneParameters)]);
    kept.emplace_back("finetuneLearningRate", spec.finetuneLearningRate);
  }
  return kept;
}

}  // namespace seprog
