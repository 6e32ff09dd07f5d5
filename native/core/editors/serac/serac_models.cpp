#include "serac_models.h"

#include <ATen/core/grad_mode.h>

#include <functional>

#include "../../error.h"
#include "../../instrument/memory_role.h"
#include "../../models/config_fields.h"
#include "../../tensor/narrow.h"
#include "../seprog/edit_encoder.h"

namespace seprog {
namespace {

Weights mapped(const Weights& weights, const std::function<at::Tensor(const at::Tensor&)>& change) {
  TensorTable table = weights.flatten();
  for (auto& [name, tensor] : table) tensor = change(tensor);
  return Weights(std::move(table));
}

SeracModels mapped(const SeracModels& models, const std::function<at::Tensor(const at::Tensor&)>& change) {
  SeracModels changed = models;
  changed.classifier.weights = mapped(models.classifier.weights, change);
  changed.counterfactual.weights = mapped(models.counterfactual.weights, change);
  return changed;
}

Weights part(const TensorTable& parameters, std::string_view prefix) {
  TensorTable table;
  for (const auto& [name, tensor] : parameters) {
    if (name.starts_with(prefix)) table.emplace(name.substr(prefix.size()), tensor);
  }
  return Weights(std::move(table));
}

/// The class of a family's encoder with a head of classes; nullptr for families without one.
const char* headedClass(const Json& config) {
  const Json* type = config.find("model_type");
  if (type == nullptr || !type->isString()) return nullptr;
  if (type->string() == "bert") return "BertForSequenceClassification";
  return type->string() == "distilbert" ? "DistilBertForSequenceClassification" : nullptr;
}

Json headedConfig(const Json& own, int64_t logits) {
  Json::Object config;
  for (const auto& [key, value] : own.object()) {
    if (key != "architectures" && key != "num_labels" && key != "id2label") config.emplace_back(key, value);
  }
  config.emplace_back("architectures", Json::Array{headedClass(own)});
  config.emplace_back("num_labels", logits);
  return Json(std::move(config));
}

/// Logits of the head that a model of this config was fine-tuned with; 0 without one.
int64_t headLogits(const Json& config) {
  if (!hasClass(config, headedClass(config)) && !hasClass(config, "BertClassifier")) return 0;
  for (const auto& [name, shape] : makeArchitecture(config)->expectedWeights()) {
    if (name == "classifier.weight") return shape.front();
  }
  return 0;
}

/// An encoder under a fresh head.
Model withFreshHead(const Model& encoder, int64_t logits, uint64_t seed) {
  Model model = createModel(headedConfig(encoder.architecture->config(), logits), seed, encoder.device);
  TensorTable table = model.weights.flatten();
  for (auto& [name, tensor] : encoder.weights.flatten()) table[name] = tensor;
  model.weights = Weights(std::move(table));
  return model;
}

/// The encoder of a folder under a head of so many logits: the folder's own where it has such a one.
Model loadHeaded(const std::string& directory, int64_t logits, uint64_t seed, const at::Device& device) {
  if (headLogits(readConfig(directory)) == logits) return loadModel(directory, device);
  return withFreshHead(loadEncoder(directory, device), logits, seed);
}

Model startClassifier(const SeracSpec& spec, const Model& base) {
  const std::string& directory = spec.classifierDirectory;
  const Json config = directory.empty() ? base.architecture->config() : readConfig(directory);
  if (headedClass(config) == nullptr) {
    const Json* type = config.find("model_type");
    fail(ErrorCode::Unsupported,
         "expected a model of the family \"bert\" or \"distilbert\" for `editor.classifier` but received " +
             (type == nullptr ? "nothing" : type->dump()) + "; its first token stands for the text");
  }
  constexpr int64_t kClasses = 2;  // in scope, out of scope
  if (spec.scopeClassifier == ScopeClassifier::CrossAttention) {
    if (!directory.empty()) return loadHeaded(directory, kClasses, spec.seed, base.device);
    return headLogits(config) == kClasses ? base : withFreshHead(encoderOf(base), kClasses, spec.seed);
  }
  return directory.empty() ? encoderOf(base) : loadEncoder(directory, base.device);
}

bool answersAs(const Architecture& own, const Architecture& wanted) {
  return own.answerKind() == wanted.answerKind() && own.targetVocabulary() == wanted.targetVocabulary();
}

Model startCounterfactual(const SeracSpec& spec, const Model& base) {
  const std::string& directory = spec.counterfactualDirectory;
  if (directory.empty()) return base;
  const Architecture& wanted = *base.architecture;
  const bool labels = wanted.answerKind() == AnswerKind::Label;
  Model model = labels && headedClass(readConfig(directory)) != nullptr
                    ? loadHeaded(directory, headLogits(wanted.config()), spec.seed, base.device)
                    : loadModel(directory, base.device);
  // The base may have been given a pad token when it was loaded.
  if (!answersAs(*model.architecture, wanted)) model = loadModel(directory, base.device, {true});
  if (answersAs(*model.architecture, wanted)) return model;
  fail(ErrorCode::Unsupported, "expected a model that answers as the base does, in " +
                                   std::to_string(wanted.targetVocabulary()) +
                                   " ids, for `editor.counterfactual` but received one of the family \"" +
                                   model.architecture->family() + "\" with " +
                                   std::to_string(model.architecture->targetVocabulary()) +
                                   "; name one of the base's family and vocabulary");
}

}  // namespace

TensorTable prefixed(std::string_view prefix, TensorTable table) {
  TensorTable renamed;
  for (auto& [name, tensor] : table) renamed.emplace(std::string(prefix) + name, std::move(tensor));
  return renamed;
}

TensorTable SeracModels::parameters() const {
  TensorTable all = prefixed(kClassifierPrefix, classifier.weights.flatten());
  all.merge(prefixed(kCounterfactualPrefix, counterfactual.weights.flatten()));
  return all;
}

SeracModels SeracModels::with(const TensorTable& parameters) const {
  SeracModels other = *this;
  other.classifier.weights = part(parameters, kClassifierPrefix);
  other.counterfactual.weights = part(parameters, kCounterfactualPrefix);
  return other;
}

SeracModels SeracModels::tracked() const {
  return mapped(*this, [](const at::Tensor& tensor) { return tensor.detach().set_requires_grad(true); });
}

SeracModels SeracModels::clone() const {
  at::NoGradGuard noGrad;
  const RoleScope role(MemoryRole::Editor);
  return mapped(*this, [](const at::Tensor& tensor) {
    return inFp32(tensor.detach()).to(tensor.device(), at::kFloat, false, true).contiguous();
  });
}

SeracModels startSerac(const SeracSpec& spec, const Model& base) {
  return SeracModels{startClassifier(spec, base), startCounterfactual(spec, base)}.clone();
}

}  // namespace seprog
