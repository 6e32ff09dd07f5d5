#include "enn_checkpoint.h"

#include "../../error.h"
#include "../../io/atomic_file.h"
#include "../../io/safetensors.h"

namespace seprog {
namespace {

const std::string kBase = "base.";
const std::string kInnerRate = "innerRate";

void demandEntry(const std::string& path, const std::string& key, const Json& expected, const Json* found) {
  const std::string received = found == nullptr ? "nothing" : found->dump();
  if (received == expected.dump()) return;
  fail(ErrorCode::CheckpointInvalid,
       "expected " + expected.dump() + " for `" + key + "` in " + path + " but received " + received);
}

Json readDescription(const std::string& path) {
  try {
    return Json::parse(readFile(path));
  } catch (const Error& error) {
    fail(ErrorCode::CheckpointInvalid, "expected an editor description for `" + path + "`: " + error.what());
  }
}

}  // namespace

TensorTable flatten(const EnnParameters& parameters) {
  TensorTable table = {{kInnerRate, parameters.innerRate_M}};
  for (const auto& [name, tensor] : parameters.theta) table.emplace(kBase + name, tensor);
  return table;
}

void writeCheckpoint(const std::string& directory, const EnnParameters& parameters, const EnnSpec& spec,
                     const Model& base, const std::string& baseChecksum, int64_t steps) {
  const TensorTable table = flatten(parameters);
  writeSafetensors(directory + "/editor.safetensors", table, {{"format", "pt"}});
  Json::Array edited;
  for (const std::string& name : base.architecture->editableWeights()) edited.emplace_back(name);
  const Json description = Json::Object{
      {"kind", "enn"},
      {"spec", resolvedSpec(spec)},
      {"sizes", Json::Object{{"parameters", Weights(table).parameterCount()}}},
      {"edited", std::move(edited)},
      {"baseChecksum", baseChecksum},
      {"steps", steps},
  };
  writeFileAtomic(directory + "/editor.json", description.dump() + "\n");
}

EnnParameters readCheckpoint(const std::string& directory, const EnnParameters& present, const EnnSpec& spec,
                             const std::string& baseChecksum) {
  const std::string jsonPath = directory + "/editor.json";
  const Json description = readDescription(jsonPath);
  demandEntry(jsonPath, "kind", "enn", description.find("kind"));
  demandEntry(jsonPath, "baseChecksum", baseChecksum, description.find("baseChecksum"));
  const Json* kept = description.find("spec");
  demandEntry(jsonPath, "spec.innerSteps", spec.innerSteps,
              kept == nullptr ? nullptr : kept->find("innerSteps"));

  const std::string path = directory + "/editor.safetensors";
  const SafetensorsFile file = readSafetensors(path);
  const TensorTable expected = flatten(present);
  EnnParameters read;
  for (const auto& [name, own] : expected) {
    const auto found = file.tensors.find(name);
    if (found == file.tensors.end() || found->second.sizes() != own.sizes() ||
        found->second.scalar_type() != at::kFloat) {
      fail(ErrorCode::CheckpointInvalid,
           "expected a float32 tensor of " + std::to_string(own.numel()) + " elements for `" + name +
               "` in " + path + " but received another or none; was it trained with other sizes?");
    }
    const at::Tensor tensor = found->second.to(own.device(), at::kFloat, false, true).contiguous();
    if (name == kInnerRate) {
      read.innerRate_M = tensor;
    } else {
      read.theta.emplace(name.substr(kBase.size()), tensor);
    }
  }
  if (file.tensors.size() != expected.size()) {
    fail(ErrorCode::CheckpointInvalid, "expected " + std::to_string(expected.size()) + " tensors in " + path +
                                           " but received " + std::to_string(file.tensors.size()));
  }
  return read;
}

}  // namespace seprog
