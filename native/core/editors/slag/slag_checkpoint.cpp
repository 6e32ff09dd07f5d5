#include "slag_checkpoint.h"

#include "../editor_checkpoint.h"

namespace seprog {

void writeCheckpoint(const std::string& directory, const Hypernetwork& network,
                     const std::string& baseChecksum, int64_t steps) {
  Json::Array edited;
  for (const std::string& name : network.edited()) edited.emplace_back(name);
  Json::Object members = {
      {"spec", resolvedSpec(network.spec())},
      {"sizes", Json::Object{{"parameters", Weights(network.parameters()).parameterCount()}}},
      {"edited", std::move(edited)},
  };
  writeEditorCheckpoint(directory, "slag", std::move(members), baseChecksum, steps, network.parameters());
}

TensorTable readCheckpoint(const std::string& directory, const Hypernetwork& network,
                           const std::string& baseChecksum) {
  EditorDescription(directory, "slag", baseChecksum).demandOption("maxScale", network.spec().maxScale);
  CheckpointTensors tensors(directory);
  TensorTable parameters = tensors.takeAll(network.parameters());
  tensors.finish();
  return parameters;
}

}  // namespace seprog
