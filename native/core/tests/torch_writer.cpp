#include "torch_writer.h"

#include <ATen/ATen.h>

#include <fstream>
#include <map>
#include <stdexcept>
#include <vector>

#include "torch_bytes.h"

namespace seprog {
namespace {

using namespace torch_bytes;  // NOLINT(google-build-using-namespace): the vocabulary of this file

const char* storageName(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return "FloatStorage";
    case at::kHalf:
      return "HalfStorage";
    case at::kBFloat16:
      return "BFloat16Storage";
    case at::kLong:
      return "LongStorage";
    case at::kByte:
      return "ByteStorage";
    case at::kBool:
      return "BoolStorage";
    default:
      throw std::invalid_argument("a storage of a type that no test writes");
  }
}

struct Held {
  std::string key;
  at::Tensor elements_N;
};

/// Storages in the order the pickle first speaks of them.
class StorageTable {
 public:
  const Held& of(const at::Tensor& tensor) {
    const void* memory = tensor.storage().data();
    const auto known = index_.find(memory);
    if (memory != nullptr && known != index_.end()) return all_[known->second];
    index_[memory] = all_.size();
    const auto elements = static_cast<int64_t>(tensor.storage().nbytes() / tensor.element_size());
    all_.push_back({std::to_string(all_.size()), tensor.as_strided({elements}, {1}, 0)});
    return all_.back();
  }
  const std::vector<Held>& all() const { return all_; }

 private:
  std::vector<Held> all_;
  std::map<const void*, size_t> index_;
};

std::string_view rawBytes(const Held& storage) {
  return {static_cast<const char*>(storage.elements_N.const_data_ptr()), storage.elements_N.nbytes()};
}

}  // namespace

void writeTorchFile(const std::string& path, const TensorTable& tensors, TorchFormat format) {
  StorageTable storages;
  std::string items;
  for (const auto& [name, given] : tensors) {
    const Held& held = storages.of(given);
    items += text(name) + tensor(storage(storageName(given.scalar_type()), held.key, held.elements_N.numel(),
                                         format == TorchFormat::Legacy ? "N" : ""),
                                 given.storage_offset(), given.sizes().vec(), given.strides().vec());
  }
  const std::string metadata = dict(text("_metadata") + orderedDict());
  const std::string state = pickle(orderedDict() + "(" + items + "u" + metadata + "b");

  std::ofstream out(path, std::ios::binary);
  if (format == TorchFormat::Zip) {
    ZipWriter zip(out, {});
    zip.add({"archive/data.pkl", ""}, state);
    zip.add({"archive/byteorder", ""}, "little");
    for (const Held& held : storages.all()) zip.add({"archive/data/" + held.key, ""}, rawBytes(held));
    zip.add({"archive/version", ""}, "3\n");
    zip.finish();
  } else {
    std::string keys;
    for (const Held& held : storages.all()) keys += text(held.key);
    out << legacyPreamble() << state << pickle("](" + keys + "e");
    for (const Held& held : storages.all()) {
      out << number(static_cast<uint64_t>(held.elements_N.numel()), 8) << rawBytes(held);
    }
  }
  out.close();
  if (!out) throw std::runtime_error("could not write " + path);
}

}  // namespace seprog
