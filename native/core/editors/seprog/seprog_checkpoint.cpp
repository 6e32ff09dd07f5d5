#include "seprog_checkpoint.h"

#include "../../error.h"
#include "../../io/atomic_file.h"
#include "../../io/safetensors.h"

namespace seprog {
namespace {

std::string textOf(const Json* found) {
  if (found == nullptr) return "nothing";
  return found->isString() ? found->string() : found->dump();
}

void demandEntry(const std::string& path, const std::string& key, const std::string& expected,
                 const Json* found) {
  const std::string received = textOf(found);
  if (received == expected) return;
  fail(ErrorCode::CheckpointInvalid,
       "expected \"" + expected + "\" for `" + key + "` in " + path + " but received \"" + received + "\"");
}

/// What the weights mean must be what they were trained to mean. An option that the file does not know yet had
/// its default.
void demandMeaning(const std::string& path, const Json& description, const SeprogSpec& spec) {
  const Json* kept = description.find("spec");
  const Json own = resolvedSpec(spec);
  const Json usual = resolvedSpec(SeprogSpec());
  for (const char* key : {"variant", "editPool", "basePool", "editActivation", "promptPositions"}) {
    const Json* found = kept == nullptr ? nullptr : kept->find(key);
    demandEntry(path, std::string("spec.") + key, own.find(key)->string(),
                found == nullptr ? usual.find(key) : found);
  }
}

Json readDescription(const std::string& path) {
  try {
    return Json::parse(readFile(path));
  } catch (const Error& error) {
    fail(ErrorCode::CheckpointInvalid, "expected an editor description for `" + path + "`: " + error.what());
  }
}

}  // namespace

void writeCheckpoint(const std::string& directory, const SeprogModules& modules, const Model& base,
                     const std::string& baseChecksum, int64_t steps) {
  writeSafetensors(directory + "/editor.safetensors", modules.parameters(), {{"format", "pt"}});
  const Json description = Json::Object{
      {"kind", "seprog"},
      {"spec", resolvedSpec(modules.spec())},
      {"sizes", Json::Object{{"baseWidth", base.architecture->hiddenWidth()},
                             {"embeddingWidth", base.architecture->embeddingWidth()},
                             {"editEncoderWidth", modules.editEncoder().hiddenWidth()},
                             {"parameters", Weights(modules.parameters()).parameterCount()}}},
      {"editEncoderConfig", modules.editEncoder().config()},
      {"baseChecksum", baseChecksum},
      {"steps", steps},
  };
  writeFileAtomic(directory + "/editor.json", description.dump() + "\n");
}

TensorTable readCheckpoint(const std::string& directory, const SeprogModules& modules, const Model& base,
                           const std::string& baseChecksum) {
  const std::string jsonPath = directory + "/editor.json";
  const Json description = readDescription(jsonPath);
  demandEntry(jsonPath, "kind", "seprog", description.find("kind"));
  demandEntry(jsonPath, "baseChecksum", baseChecksum, description.find("baseChecksum"));
  demandMeaning(jsonPath, description, modules.spec());

  const std::string path = directory + "/editor.safetensors";
  SafetensorsFile file = readSafetensors(path);
  TensorTable parameters;
  for (const auto& [name, present] : modules.parameters()) {
    const auto found = file.tensors.find(name);
    if (found == file.tensors.end() || found->second.sizes() != present.sizes() ||
        found->second.scalar_type() != at::kFloat) {
      fail(ErrorCode::CheckpointInvalid,
           "expected a float32 tensor of " + std::to_string(present.numel()) + " elements for `" + name +
               "` in " + path + " but received another or none; was it trained with other sizes?");
    }
    parameters.emplace(name, found->second.to(base.device, at::kFloat, false, true).contiguous());
  }
  if (file.tensors.size() != parameters.size()) {
    fail(ErrorCode::CheckpointInvalid, "expected " + std::to_string(parameters.size()) + " tensors in " +
                                           path + " but received " + std::to_string(file.tensors.size()));
  }
  return parameters;
}

}  // namespace seprog
