#include "seprog_checkpoint.h"

#include "../editor_checkpoint.h"

namespace seprog {
namespace {

/// What the weights mean must be what they were trained to mean. An option that the file does not know yet had
/// its default.
void demandMeaning(const EditorDescription& description, const SeprogSpec& spec) {
  const Json own = resolvedSpec(spec);
  const Json usual = resolvedSpec(SeprogSpec());
  for (const char* key : {"variant", "editPool", "basePool", "editActivation", "promptPositions"}) {
    const bool unknown = description.option(key) == nullptr;
    if (unknown && own.find(key)->string() == usual.find(key)->string()) continue;
    description.demandOption(key, *own.find(key));
  }
}

}  // namespace

void writeCheckpoint(const std::string& directory, const SeprogModules& modules, const Model& base,
                     const std::string& baseChecksum, int64_t steps) {
  Json::Object members = {
      {"spec", resolvedSpec(modules.spec())},
      {"sizes", Json::Object{{"baseWidth", base.architecture->hiddenWidth()},
                             {"embeddingWidth", base.architecture->embeddingWidth()},
                             {"editEncoderWidth", modules.editEncoder().hiddenWidth()},
                             {"parameters", Weights(modules.parameters()).parameterCount()}}},
      {"editEncoderConfig", modules.editEncoder().config()},
  };
  writeEditorCheckpoint(directory, "seprog", std::move(members), baseChecksum, steps, modules.parameters());
}

TensorTable readCheckpoint(const std::string& directory, const SeprogModules& modules,
                           const std::string& baseChecksum) {
  demandMeaning(EditorDescription(directory, "seprog", baseChecksum), modules.spec());
  CheckpointTensors tensors(directory);
  TensorTable parameters = tensors.takeAll(modules.parameters());
  tensors.finish();
  return parameters;
}

}  // namespace seprog
