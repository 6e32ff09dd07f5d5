// What the checkpoints of all editors have in common: editor.json says what the editor is, editor.safetensors holds
// what it has learned.
#pragma once

#include <string>
#include <string_view>

#include "../json.h"
#include "../tensor/weights.h"

namespace seprog {

/// editor.json, written atomically: "kind", the `members`, "baseChecksum" and "steps".
void writeEditorDescription(const std::string& directory, const std::string& kind, Json::Object members,
                            const std::string& baseChecksum, int64_t steps);
/// Both files, each atomically, the description last.
void writeEditorCheckpoint(const std::string& directory, const std::string& kind, Json::Object members,
                           const std::string& baseChecksum, int64_t steps, const TensorTable& tensors);

/// editor.json of a folder.
class EditorDescription {
 public:
  /// Throws CHECKPOINT_INVALID when it cannot be read or is of another kind of editor or another base model.
  EditorDescription(const std::string& directory, const std::string& kind, const std::string& baseChecksum);

  /// Throws CHECKPOINT_INVALID when an entry, or an entry of "spec", is another one.
  void demand(const std::string& key, const Json& expected) const;
  void demandOption(const std::string& key, const Json& expected) const;
  /// nullptr: a file from before the option was known.
  const Json* option(const std::string& key) const;
  const std::string& path() const { return path_; }

 private:
  void demandEqual(const std::string& key, const Json& expected, const Json* found) const;

  std::string path_;
  Json content_;
};

/// The tensors of editor.safetensors, each to be taken once. Throws CHECKPOINT_INVALID.
class CheckpointTensors {
 public:
  explicit CheckpointTensors(const std::string& directory);

  bool has(std::string_view name) const { return table_.find(name) != table_.end(); }
  /// Throws CHECKPOINT_INVALID for a tensor that is not there, of another shape or another type.
  at::Tensor take(const std::string& name, at::IntArrayRef shape, at::ScalarType type,
                  const at::Device& device);
  /// A float32 tensor for every one of `present`, of the same shape and on the same device.
  TensorTable takeAll(const TensorTable& present);
  /// Throws CHECKPOINT_INVALID when any is left.
  void finish() const;

 private:
  std::string path_;
  TensorTable table_;
};

}  // namespace seprog
