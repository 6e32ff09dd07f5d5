#include "editor_checkpoint.h"

#include <sstream>

#include "../error.h"
#include "../instrument/memory_role.h"
#include "../io/atomic_file.h"
#include "../io/safetensors.h"

namespace seprog {
namespace {

Json readDescription(const std::string& path) {
  try {
    return Json::parse(readFile(path));
  } catch (const Error& error) {
    fail(ErrorCode::CheckpointInvalid, "expected an editor description for `" + path + "`: " + error.what());
  }
}

std::string textOf(at::ScalarType type, at::IntArrayRef shape) {
  std::ostringstream out;
  out << type << " " << shape;
  return out.str();
}

}  // namespace

void writeEditorDescription(const std::string& directory, const std::string& kind, Json::Object members,
                            const std::string& baseChecksum, int64_t steps) {
  Json::Object description = {{"kind", kind}};
  for (auto& member : members) description.push_back(std::move(member));
  description.emplace_back("baseChecksum", baseChecksum);
  description.emplace_back("steps", steps);
  writeFileAtomic(directory + "/editor.json", Json(std::move(description)).dump() + "\n");
}

void writeEditorCheckpoint(const std::string& directory, const std::string& kind, Json::Object members,
                           const std::string& baseChecksum, int64_t steps, const TensorTable& tensors) {
  writeSafetensors(directory + "/editor.safetensors", tensors, {{"format", "pt"}});
  writeEditorDescription(directory, kind, std::move(members), baseChecksum, steps);
}

EditorDescription::EditorDescription(const std::string& directory, const std::string& kind,
                                     const std::string& baseChecksum)
    : path_(directory + "/editor.json"), content_(readDescription(path_)) {
  demand("kind", kind);
  demand("baseChecksum", baseChecksum);
}

void EditorDescription::demandEqual(const std::string& key, const Json& expected, const Json* found) const {
  const std::string received = found == nullptr ? "nothing" : found->dump();
  if (received == expected.dump()) return;
  fail(ErrorCode::CheckpointInvalid,
       "expected " + expected.dump() + " for `" + key + "` in " + path_ + " but received " + received);
}

void EditorDescription::demand(const std::string& key, const Json& expected) const {
  demandEqual(key, expected, content_.find(key));
}

void EditorDescription::demandOption(const std::string& key, const Json& expected) const {
  demandEqual("spec." + key, expected, option(key));
}

const Json* EditorDescription::option(const std::string& key) const {
  const Json* spec = content_.find("spec");
  return spec == nullptr ? nullptr : spec->find(key);
}

CheckpointTensors::CheckpointTensors(const std::string& directory)
    : path_(directory + "/editor.safetensors"), table_(readSafetensors(path_).tensors) {}

at::Tensor CheckpointTensors::take(const std::string& name, at::IntArrayRef shape, at::ScalarType type,
                                   const at::Device& device) {
  const auto found = table_.find(name);
  if (found == table_.end() || found->second.sizes() != shape || found->second.scalar_type() != type) {
    const std::string received =
        found == table_.end() ? "none" : textOf(found->second.scalar_type(), found->second.sizes());
    fail(ErrorCode::CheckpointInvalid, "expected " + textOf(type, shape) + " for `" + name + "` in " + path_ +
                                           " but received " + received +
                                           "; was it trained with other sizes?");
  }
  const RoleScope role(MemoryRole::Editor);
  at::Tensor tensor = found->second.to(device, type, false, true).contiguous();
  table_.erase(found);
  return tensor;
}

TensorTable CheckpointTensors::takeAll(const TensorTable& present) {
  TensorTable taken;
  for (const auto& [name, own] : present) {
    taken.emplace(name, take(name, own.sizes(), at::kFloat, own.device()));
  }
  return taken;
}

void CheckpointTensors::finish() const {
  if (table_.empty()) return;
  fail(ErrorCode::CheckpointInvalid, "expected no tensor `" + table_.begin()->first + "` in " + path_ +
                                         " but received one; was it trained with other options?");
}

}  // namespace seprog
