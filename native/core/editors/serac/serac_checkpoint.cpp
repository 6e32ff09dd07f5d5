#include "serac_checkpoint.h"

#include "../../error.h"
#include "../../io/atomic_file.h"
#include "../../io/safetensors.h"

namespace seprog {
namespace {

Json readDescription(const std::string& path) {
  try {
    return Json::parse(readFile(path));
  } catch (const Error& error) {
    fail(ErrorCode::CheckpointInvalid, "expected an editor description for `" + path + "`: " + error.what());
  }
}

void demandEntry(const std::string& path, const std::string& key, const Json& expected, const Json* found) {
  if (found != nullptr && found->dump() == expected.dump()) return;
  fail(ErrorCode::CheckpointInvalid, "expected " + expected.dump() + " for `" + key + "` in " + path +
                                         " but received " + (found == nullptr ? "nothing" : found->dump()));
}

}  // namespace

void writeSeracCheckpoint(const std::string& directory, const SeracSpec& spec, const SeracModels& models,
                          const std::string& baseChecksum, int64_t steps) {
  const TensorTable parameters = models.parameters();
  writeSafetensors(directory + "/editor.safetensors", parameters, {{"format", "pt"}});
  const Json description = Json::Object{
      {"kind", "serac"},
      {"spec", resolvedSpec(spec)},
      {"sizes", Json::Object{{"parameters", Weights(parameters).parameterCount()}}},
      {"classifierConfig", models.classifier.architecture->config()},
      {"counterfactualConfig", models.counterfactual.architecture->config()},
      {"baseChecksum", baseChecksum},
      {"steps", steps},
  };
  writeFileAtomic(directory + "/editor.json", description.dump() + "\n");
}

SeracModels readSeracCheckpoint(const std::string& directory, const SeracSpec& spec,
                                const SeracModels& models, const std::string& baseChecksum) {
  const std::string jsonPath = directory + "/editor.json";
  const Json description = readDescription(jsonPath);
  demandEntry(jsonPath, "kind", "serac", description.find("kind"));
  demandEntry(jsonPath, "baseChecksum", baseChecksum, description.find("baseChecksum"));
  const Json* kept = description.find("spec");
  const Json own = resolvedSpec(spec);
  demandEntry(jsonPath, "spec.scopeClassifier", *own.find("scopeClassifier"),
              kept == nullptr ? nullptr : kept->find("scopeClassifier"));

  const std::string path = directory + "/editor.safetensors";
  SafetensorsFile file = readSafetensors(path);
  const TensorTable present = models.parameters();
  TensorTable parameters;
  for (const auto& [name, tensor] : present) {
    const auto found = file.tensors.find(name);
    if (found == file.tensors.end() || found->second.sizes() != tensor.sizes() ||
        found->second.scalar_type() != at::kFloat) {
      fail(ErrorCode::CheckpointInvalid,
           "expected a float32 tensor of " + std::to_string(tensor.numel()) + " elements for `" + name +
               "` in " + path + " but received another or none; was it trained with other models?");
    }
    parameters.emplace(name, found->second.to(tensor.device(), at::kFloat, false, true).contiguous());
  }
  if (file.tensors.size() != parameters.size()) {
    fail(ErrorCode::CheckpointInvalid, "expected " + std::to_string(parameters.size()) + " tensors in " +
                                           path + " but received " + std::to_string(file.tensors.size()));
  }
  return models.with(parameters);
}

}  // namespace seprog
