#include "slag_checkpoint.h"

#include "../../error.h"
#include "../../io/atomic_file.h"
#include "../../io/safetensors.h"

namespace seprog {
namespace {

void demandEntry(const std::string& path, const std::string& key, const std::string& expected,
                 const Json* found) {
  const std::string received = found == nullptr ? "nothing" : found->dump();
  if (received == expected) return;
  fail(ErrorCode::CheckpointInvalid,
       "expected " + expected + " for `" + key + "` in " + path + " but received " + received);
}

Json readDescription(const std::string& path) {
  try {
    return Json::parse(readFile(path));
  } catch (const Error& error) {
    fail(ErrorCode::CheckpointInvalid, "expected an editor description for `" + path + "`: " + error.what());
  }
}

}  // namespace

void writeCheckpoint(const std::string& directory, const Hypernetwork& network,
                     const std::string& baseChecksum, int64_t steps) {
  writeSafetensors(directory + "/editor.safetensors", network.parameters(), {{"format", "pt"}});
  Json::Array edited;
  for (const std::string& name : network.edited()) edited.emplace_back(name);
  const Json description = Json::Object{
      {"kind", "slag"},
      {"spec", resolvedSpec(network.spec())},
      {"sizes", Json::Object{{"parameters", Weights(network.parameters()).parameterCount()}}},
      {"edited", std::move(edited)},
      {"baseChecksum", baseChecksum},
      {"steps", steps},
  };
  writeFileAtomic(directory + "/editor.json", description.dump() + "\n");
}

TensorTable readCheckpoint(const std::string& directory, const Hypernetwork& network,
                           const std::string& baseChecksum) {
  const std::string jsonPath = directory + "/editor.json";
  const Json description = readDescription(jsonPath);
  demandEntry(jsonPath, "kind", Json("slag").dump(), description.find("kind"));
  demandEntry(jsonPath, "baseChecksum", Json(baseChecksum).dump(), description.find("baseChecksum"));
  const Json* spec = description.find("spec");
  demandEntry(jsonPath, "spec.maxScale", Json(network.spec().maxScale).dump(),
              spec == nullptr ? nullptr : spec->find("maxScale"));

  const std::string path = directory + "/editor.safetensors";
  SafetensorsFile file = readSafetensors(path);
  TensorTable parameters;
  for (const auto& [name, present] : network.parameters()) {
    const auto found = file.tensors.find(name);
    if (found == file.tensors.end() || found->second.sizes() != present.sizes() ||
        found->second.scalar_type() != at::kFloat) {
      fail(ErrorCode::CheckpointInvalid,
           "expected a float32 tensor of " + std::to_string(present.numel()) + " elements for `" + name +
               "` in " + path + " but received another or none; was it trained with other sizes?");
    }
    parameters.emplace(name, found->second.to(present.device(), at::kFloat, false, true).contiguous());
  }
  if (file.tensors.size() != parameters.size()) {
    fail(ErrorCode::CheckpointInvalid, "expected " + std::to_string(parameters.size()) + " tensors in " +
                                           path + " but received " + std::to_string(file.tensors.size()));
  }
  return parameters;
}

}  // namespace seprog
