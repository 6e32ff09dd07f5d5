#include "serac_checkpoint.h"

#include "../editor_checkpoint.h"

namespace seprog {
void writeSeracCheckpoint(const std::string& directory, const SeracSpec& spec, const SeracModels& models,
                          const std::string& baseChecksum, int64_t steps) {
  const TensorTable parameters = models.parameters();
  Json::Object members = {
      {"spec", resolvedSpec(spec)},
      {"sizes", Json::Object{{"parameters", Weights(parameters).parameterCount()}}},
      {"classifierConfig", models.classifier.architecture->config()},
      {"counterfactualConfig", models.counterfactual.architecture->config()},
  };
  writeEditorCheckpoint(directory, "serac", std::move(members), baseChecksum, steps, parameters);
}

SeracModels readSeracCheckpoint(const std::string& directory, const SeracSpec& spec,
                                const SeracModels& models, const std::string& baseChecksum) {
  EditorDescription(directory, "serac", baseChecksum)
      .demandOption("scopeClassifier", *resolvedSpec(spec).find("scopeClassifier"));
  CheckpointTensors tensors(directory);
  const TensorTable parameters = tensors.takeAll(models.parameters());
  tensors.finish();
  return models.with(parameters);
}

}  // namespace seprog
