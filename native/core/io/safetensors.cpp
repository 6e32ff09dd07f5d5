// The safetensors layout: 8 bytes little-endian header length, a JSON header, then the tensors' bytes without
// holes.
#include "safetensors.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "../error.h"
#include "../json.h"
#include "atomic_file.h"
#include "file_mapping.h"

namespace seprog {
namespace {

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit

struct DType {
  const char* name;
  at::ScalarType type;
};
constexpr DType kDTypes[] = {{"F64", at::kDouble},    {"F32", at::kFloat}, {"F16", at::kHalf},
                             {"BF16", at::kBFloat16}, {"I64", at::kLong},  {"I32", at::kInt},
                             {"I16", at::kShort},     {"I8", at::kChar},   {"U8", at::kByte},
                             {"BOOL", at::kBool}};

struct Entry {
  std::string name;
  at::ScalarType type = at::kFloat;
  std::vector<int64_t> shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

class Header {
 public:
  Header(const std::string& path, const FileMapping& mapping) : path_(path), mapping_(mapping) {
    if (mapping.size() < kLengthBytes) {
      refuse("at least 8 bytes", "", std::to_string(mapping.size()) + " bytes; the file is truncated");
    }
    uint64_t length = 0;
    for (uint64_t i = 0; i < kLengthBytes; ++i) {
      length |= static_cast<uint64_t>(static_cast<unsigned char>(mapping.data()[i])) << (8 * i);
    }
    if (length > kMaxHeaderBytes) {
      refuse("a header of at most " + std::to_string(kMaxHeaderBytes) + " bytes", "",
             std::to_string(length) + "; is this a safetensors file?");
    }
    if (length > mapping.size() - kLengthBytes) {
      refuse("a header of " + std::to_string(length) + " bytes", "",
             std::to_string(mapping.size() - kLengthBytes) + " bytes; the file is truncated");
    }
    dataBegin_ = kLengthBytes + length;
    dataBytes_ = mapping.size() - dataBegin_;
    Json header;
    try {
      header = Json::parse(std::string_view(mapping.data() + kLengthBytes, length));
    } catch (const Error& error) {
      fail(ErrorCode::CheckpointInvalid, std::string(error.what()) + " in the header of " + path_);
    }
    if (!header.isObject()) refuse("a JSON object", "header", "something else");
    for (const auto& [name, value] : header.object()) {
      if (name == "__metadata__") {
        readMetadata(value);
      } else {
        entries.push_back(readEntry(name, value));
      }
    }
    checkLayout();
  }

  uint64_t dataBegin() const { return dataBegin_; }

  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;

 private:
  [[noreturn]] void refuse(const std::string& wanted, const std::string& where,
                           const std::string& got) const {
    fail(ErrorCode::CheckpointInvalid, "expected " + wanted + " for `" + path_ +
                                           (where.empty() ? "" : ":" + where) + "` but received " + got);
  }

  void readMetadata(const Json& value) {
    if (!value.isObject()) refuse("an object of strings", "__metadata__", value.dump());
    for (const auto& [key, item] : value.object()) {
      if (!item.isString()) refuse("a string", "__metadata__." + key, item.dump());
      metadata.emplace(key, item.string());
    }
  }

  uint64_t readCount(const Json& value, const std::string& name) const {
    if (!value.isNumber() || value.number() < 0 || value.number() != std::floor(value.number()) ||
        value.number() > 9007199254740992.0) {
      refuse("whole numbers of 0 or more", name, value.dump());
    }
    return static_cast<uint64_t>(value.number());
  }

  Entry readEntry(const std::string& name, const Json& value) const {
    const Json* dtype = value.find("dtype");
    const Json* shape = value.find("shape");
    const Json* offsets = value.find("data_offsets");
    if (dtype == nullptr || !dtype->isString() || shape == nullptr || !shape->isArray() ||
        offsets == nullptr || !offsets->isArray() || offsets->array().size() != 2) {
      refuse("`dtype`, `shape` and two `data_offsets`", name, value.dump());
    }
    Entry entry;
    entry.name = name;
    const auto known = std::find_if(std::begin(kDTypes), std::end(kDTypes),
                                    [&](const DType& item) { return dtype->string() == item.name; });
    if (known == std::end(kDTypes)) {
      refuse("dtype F64, F32, F16, BF16, I64, I32, I16, I8, U8 or BOOL", name, dtype->string());
    }
    entry.type = known->type;
    uint64_t bytes = c10::elementSize(entry.type);
    for (const Json& side : shape->array()) {
      const uint64_t count = readCount(side, name);
      if (__builtin_mul_overflow(bytes, count, &bytes))
        refuse("a size that fits the file", name, shape->dump());
      entry.shape.push_back(static_cast<int64_t>(count));
    }
    entry.begin = readCount(offsets->array()[0], name);
    entry.end = readCount(offsets->array()[1], name);
    if (entry.begin > entry.end || entry.end - entry.begin != bytes) {
      refuse(std::to_string(bytes) + " bytes", name, "data_offsets " + offsets->dump());
    }
    if (entry.end > dataBytes_) {
      refuse("data up to byte " + std::to_string(entry.end), name,
             std::to_string(dataBytes_) + " bytes; the file is truncated");
    }
    return entry;
  }

  void checkLayout() const {
    std::vector<const Entry*> byOffset;
    for (const Entry& entry : entries) byOffset.push_back(&entry);
    std::sort(byOffset.begin(), byOffset.end(), [](const Entry* a, const Entry* b) {
      return a->begin != b->begin ? a->begin < b->begin : a->end < b->end;
    });
    uint64_t at = 0;
    for (const Entry* entry : byOffset) {
      if (entry->begin < at) {
        refuse("data that begins at byte " + std::to_string(at), entry->name,
               std::to_string(entry->begin) + "; tensors overlap");
      }
      if (entry->begin > at) {
        refuse("data that begins at byte " + std::to_string(at), entry->name,
               std::to_string(entry->begin) + "; there is a hole before it");
      }
      at = entry->end;
    }
    if (at != dataBytes_) {
      refuse(std::to_string(at) + " bytes of data", "", std::to_string(dataBytes_) + " bytes");
    }
  }

  const std::string& path_;
  const FileMapping& mapping_;
  uint64_t dataBegin_ = 0;
  uint64_t dataBytes_ = 0;
};

const char* dtypeName(at::ScalarType type, const std::string& name) {
  for (const DType& item : kDTypes) {
    if (item.type == type) return item.name;
  }
  fail(ErrorCode::Unsupported,
       "expected a dtype that safetensors has for `" + name + "` but received another");
}

std::string headerText(const std::vector<std::pair<std::string, at::Tensor>>& ordered,
                       const std::map<std::string, std::string>& metadata) {
  Json::Object header;
  if (!metadata.empty()) {
    Json::Object pairs;
    for (const auto& [key, value] : metadata) pairs.emplace_back(key, Json(value));
    header.emplace_back("__metadata__", Json(std::move(pairs)));
  }
  int64_t at = 0;
  for (const auto& [name, tensor] : ordered) {
    Json::Array shape;
    for (const int64_t side : tensor.sizes()) shape.emplace_back(side);
    const auto bytes = static_cast<int64_t>(tensor.nbytes());
    header.emplace_back(name,
                        Json(Json::Object{{"dtype", dtypeName(tensor.scalar_type(), name)},
                                          {"shape", Json(std::move(shape))},
                                          {"data_offsets", Json(Json::Array{Json(at), Json(at + bytes)})}}));
    at += bytes;
  }
  std::string text = Json(std::move(header)).dump();
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');
  return text;
}

}  // namespace

SafetensorsFile readSafetensors(const std::string& path) {
  const auto mapping = std::make_shared<FileMapping>(path);
  const Header header(path, *mapping);
  SafetensorsFile file;
  file.metadata = header.metadata;
  for (const Entry& entry : header.entries) {
    char* data = mapping->data() + header.dataBegin() + entry.begin;
    at::Tensor tensor;
    if (reinterpret_cast<uintptr_t>(data) % c10::elementSize(entry.type) == 0) {
      tensor = at::from_blob(
          data, entry.shape, [mapping](void*) {}, at::TensorOptions(entry.type));
    } else {
      tensor = at::empty(entry.shape, at::TensorOptions(entry.type));
      std::memcpy(tensor.mutable_data_ptr(), data, entry.end - entry.begin);
    }
    file.tensors.emplace(entry.name, std::move(tensor));
  }
  return file;
}

void writeSafetensors(const std::string& path, const TensorTable& tensors,
                      const std::map<std::string, std::string>& metadata) {
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.is_meta()) continue;
    fail(ErrorCode::Unsupported, "expected values for `" + name + "` in " + path +
                                     " but received a tensor of a planned device, which has none");
  }
  std::vector<std::pair<std::string, at::Tensor>> ordered(tensors.begin(), tensors.end());
  // Widest elements first: every tensor is then aligned to its own element size.
  std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
    return a.second.element_size() > b.second.element_size();
  });
  const std::string header = headerText(ordered, metadata);
  AtomicFile file(path);
  char length[kLengthBytes];
  for (uint64_t i = 0; i < kLengthBytes; ++i)
    length[i] = static_cast<char>((header.size() >> (8 * i)) & 0xFF);
  file.write({length, sizeof length});
  file.write(header);
  for (const auto& [name, tensor] : ordered) {
    const at::Tensor plain = tensor.detach().to(at::kCPU).contiguous();
    file.write({static_cast<const char*>(plain.const_data_ptr()), static_cast<size_t>(plain.nbytes())});
  }
  file.commit();
}

}  // namespace seprog
