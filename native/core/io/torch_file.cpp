// Two containers around the same pickle (torch/serialization.py). Zip: NAME/data.pkl, one entry NAME/data/KEY a
// storage, NAME/byteorder. Legacy: five pickles (magic number, version, system, state dict, storage keys), then
// per key the number of elements in 8 bytes and the elements.
#include "torch_file.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <cstring>
#include <memory>
#include <optional>

#include "../error.h"
#include "file_mapping.h"
#include "pickle_reader.h"
#include "printable.h"
#include "zip_reader.h"

namespace seprog {
namespace {

constexpr std::string_view kLegacyMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr int64_t kLegacyVersion = 1001;
constexpr const char* kNestedKeys[] = {"state_dict", "model_state_dict"};

using StorageBytes = std::map<std::string_view, std::string_view>;

[[noreturn]] void refuse(const std::string& path, const std::string& part, const std::string& wanted,
                         const std::string& got) {
  fail(ErrorCode::CheckpointInvalid, "expected " + wanted + " for `" + path +
                                         (part.empty() ? "" : ":" + printable(part)) + "` but received " +
                                         got);
}

/// The dictionary of tensors, which may be nested once.
const PickledDict& stateDict(const Pickle& pickle, const std::string& path) {
  const auto* const* outer = std::get_if<PickledDict*>(&pickle.value());
  if (outer == nullptr) refuse(path, "", "a dictionary of tensors", "another kind of value");
  for (const char* key : kNestedKeys) {
    const PickledValue* value = (*outer)->find(key);
    const auto* const* inner = value == nullptr ? nullptr : std::get_if<PickledDict*>(value);
    if (inner != nullptr) return **inner;
  }
  return **outer;
}

/// Storages of one file as one-dimensional tensors, each made once.
class Storages {
 public:
  Storages(std::shared_ptr<const FileMapping> mapping, StorageBytes bytes, const std::string& path)
      : mapping_(std::move(mapping)), bytes_(std::move(bytes)), path_(path) {}

  at::Tensor at(const PickledStorage& storage) {
    const auto known = made_.find(storage.key);
    if (known == made_.end()) return made_.emplace(storage.key, make(storage)).first->second;
    if (known->second.scalar_type() != storage.type || known->second.numel() != storage.elements) {
      refuse(path_, std::string(storage.key), "one type and size of a storage", "two");
    }
    return known->second;
  }

 private:
  at::Tensor make(const PickledStorage& storage) const {
    const auto found = bytes_.find(storage.key);
    if (found == bytes_.end()) refuse(path_, std::string(storage.key), "a storage", "none");
    const std::string_view bytes = found->second;
    const auto elementBytes = static_cast<int64_t>(c10::elementSize(storage.type));
    int64_t wanted = 0;
    if (__builtin_mul_overflow(storage.elements, elementBytes, &wanted) ||
        static_cast<uint64_t>(wanted) != bytes.size()) {
      refuse(path_, std::string(storage.key),
             "a storage of " + std::to_string(storage.elements) + " elements of " +
                 std::to_string(elementBytes) + " bytes",
             std::to_string(bytes.size()) + " bytes");
    }
    const at::TensorOptions options(storage.type);
    if (bytes.empty()) return at::empty({0}, options);
    char* data = mapping_->data() + (bytes.data() - mapping_->data());
    if (reinterpret_cast<uintptr_t>(data) % elementBytes == 0) {
      return at::from_blob(
          data, {storage.elements}, [mapping = mapping_](void*) {}, options);
    }
    // The legacy format does not align. Pages that were copied go back, so that no weight is held twice.
    at::Tensor copy = at::empty({storage.elements}, options);
    std::memcpy(copy.mutable_data_ptr(), data, bytes.size());
    const auto begin = static_cast<uint64_t>(data - mapping_->data());
    mapping_->release(begin, begin + bytes.size());
    return copy;
  }

  std::shared_ptr<const FileMapping> mapping_;
  StorageBytes bytes_;
  const std::string& path_;
  std::map<std::string_view, at::Tensor> made_;
};

TensorTable tensorsOf(const Pickle& pickle, Storages& storages, const std::string& path) {
  TensorTable table;
  for (const auto& [key, value] : stateDict(pickle, path).items) {
    const auto* name = std::get_if<std::string_view>(&key);
    if (name == nullptr) refuse(path, "", "texts as names of tensors", "a key of another kind");
    const auto* tensor = std::get_if<const PickledTensor*>(&value);
    if (tensor == nullptr) refuse(path, std::string(*name), "a tensor", "a value of another kind");
    const PickledTensor& view = **tensor;
    const at::Tensor made = storages.at(*view.storage).as_strided(view.sizes, view.strides, view.offset);
    if (!table.emplace(*name, made).second) refuse(path, std::string(*name), "one tensor", "two");
  }
  return table;
}

TensorTable readZip(const std::shared_ptr<const FileMapping>& mapping, const std::string& path) {
  constexpr std::string_view kPickle = "/data.pkl";
  const auto entries = readStoredZip(mapping->bytes(), path);
  std::optional<std::string> folder;
  for (const auto& [name, bytes] : entries) {
    const size_t slash = name.find('/');
    if (slash == name.npos || name.substr(slash) != kPickle) continue;
    if (folder) refuse(path, "", "one data.pkl", "two");
    folder = name.substr(0, slash);
  }
  if (!folder) refuse(path, "", "an archive made by torch.save, with a data.pkl", "one without");
  const auto order = entries.find(*folder + "/byteorder");
  if (order != entries.end() && order->second != "little") {
    refuse(path, "byteorder", "little", printable(order->second) + "; save it on a little-endian machine");
  }
  StorageBytes storages;
  const std::string data = *folder + "/data/";
  for (auto entry = entries.lower_bound(data); entry != entries.end(); ++entry) {
    const std::string_view name = entry->first;
    if (name.substr(0, data.size()) != data) break;
    storages.emplace(name.substr(data.size()), entry->second);
  }
  const Pickle pickle(entries.at(*folder + std::string(kPickle)), path + ":data.pkl");
  Storages tensors(mapping, std::move(storages), path);
  return tensorsOf(pickle, tensors, path);
}

class LegacyFile {
 public:
  LegacyFile(std::shared_ptr<const FileMapping> mapping, const std::string& path)
      : mapping_(std::move(mapping)), path_(path), rest_(mapping_->bytes()) {}

  TensorTable read() {
    checkPreamble();
    const Pickle state = next("state dict");
    const Pickle keys = next("storage keys");
    Storages storages(mapping_, findStorages(state, keys), path_);
    return tensorsOf(state, storages, path_);
  }

 private:
  Pickle next(const char* part) { return Pickle(rest_, path_ + ":" + part, &rest_); }

  void checkPreamble() {
    const Pickle magic = next("magic number");
    const auto* number = std::get_if<PickledLong>(&magic.value());
    if (number == nullptr || number->bytes != kLegacyMagic) {
      refuse(path_, "", "a file made by torch.save", "another pickle");
    }
    const Pickle version = next("version");
    const auto* held = std::get_if<int64_t>(&version.value());
    if (held == nullptr || *held != kLegacyVersion) {
      refuse(path_, "version", std::to_string(kLegacyVersion), "another");
    }
    const Pickle system = next("system");
    const auto* const* facts = std::get_if<PickledDict*>(&system.value());
    const PickledValue* little = facts == nullptr ? nullptr : (*facts)->find("little_endian");
    const auto* yes = little == nullptr ? nullptr : std::get_if<bool>(little);
    if (yes == nullptr || !*yes) {
      refuse(path_, "little_endian", "True", "something else; save it on a little-endian machine");
    }
  }

  StorageBytes findStorages(const Pickle& state, const Pickle& keys) {
    std::map<std::string_view, const PickledStorage*> described;
    for (const PickledStorage& storage : state.storages()) described.emplace(storage.key, &storage);
    const auto* const* list = std::get_if<PickledSequence*>(&keys.value());
    if (list == nullptr) refuse(path_, "storage keys", "a list", "a value of another kind");
    StorageBytes storages;
    for (const PickledValue& value : (*list)->items) {
      const auto* key = std::get_if<std::string_view>(&value);
      const auto storage = key == nullptr ? described.end() : described.find(*key);
      if (storage == described.end()) {
        refuse(path_, "storage keys", "keys of the state dict's storages", "another key");
      }
      if (!storages.emplace(*key, takeStorage(*storage->second)).second) {
        refuse(path_, std::string(*key), "one storage", "two");
      }
    }
    if (!rest_.empty()) {
      refuse(path_, "", "the end of the file", std::to_string(rest_.size()) + " more bytes");
    }
    return storages;
  }

  std::string_view takeStorage(const PickledStorage& storage) {
    int64_t elements = 0;
    std::memcpy(&elements, take(sizeof elements, storage).data(), sizeof elements);
    if (elements != storage.elements) {
      refuse(path_, std::string(storage.key), std::to_string(storage.elements) + " elements",
             std::to_string(elements));
    }
    uint64_t bytes = 0;
    if (__builtin_mul_overflow(static_cast<uint64_t>(elements), c10::elementSize(storage.type), &bytes)) {
      refuse(path_, std::string(storage.key), "a size that fits the file", std::to_string(elements));
    }
    return take(bytes, storage);
  }

  std::string_view take(uint64_t bytes, const PickledStorage& storage) {
    if (bytes > rest_.size()) {
      refuse(path_, std::string(storage.key), std::to_string(bytes) + " bytes",
             std::to_string(rest_.size()) + "; the file is truncated");
    }
    const std::string_view taken = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return taken;
  }

  std::shared_ptr<const FileMapping> mapping_;
  const std::string& path_;
  std::string_view rest_;
};

}  // namespace

TensorTable readTorchFile(const std::string& path) {
  const auto mapping = std::make_shared<const FileMapping>(path);
  const std::string_view head = mapping->bytes().substr(0, 2);
  if (head == "PK") return readZip(mapping, path);
  if (!head.empty() && head[0] == '\x80') return LegacyFile(mapping, path).read();
  refuse(path, "", "a file made by torch.save", "one that begins otherwise; is it a Git LFS pointer?");
}

}  // namespace seprog
