#include "enn_checkpoint.h"

#include "../editor_checkpoint.h"

namespace seprog {
namespace {

const std::string kBase = "base.";
const std::string kInnerRate = "innerRate";

}  // namespace

TensorTable flatten(const EnnParameters& parameters) {
  TensorTable table = {{kInnerRate, parameters.innerRate_M}};
  for (const auto& [name, tensor] : parameters.theta) table.emplace(kBase + name, tensor);
  return table;
}

void writeCheckpoint(const std::string& directory, const EnnParameters& parameters, const EnnSpec& spec,
                     const Model& base, const std::string& baseChecksum, int64_t steps) {
  const TensorTable table = flatten(parameters);
  Json::Array edited;
  for (const std::string& name : base.architecture->editableWeights()) edited.emplace_back(name);
  Json::Object members = {
      {"spec", resolvedSpec(spec)},
      {"sizes", Json::Object{{"parameters", Weights(table).parameterCount()}}},
      {"edited", std::move(edited)},
  };
  writeEditorCheckpoint(directory, "enn", std::move(members), baseChecksum, steps, table);
}

EnnParameters readCheckpoint(const std::string& directory, const EnnParameters& present, const EnnSpec& spec,
                             const std::string& baseChecksum) {
  EditorDescription(directory, "enn", baseChecksum).demandOption("innerSteps", spec.innerSteps);
  CheckpointTensors tensors(directory);
  EnnParameters read;
  for (auto& [name, tensor] : tensors.takeAll(flatten(present))) {
    if (name == kInnerRate) {
      read.innerRate_M = tensor;
    } else {
      read.theta.emplace(name.substr(kBase.size()), tensor);
    }
  }
  tensors.finish();
  return read;
}

}  // namespace seprog
