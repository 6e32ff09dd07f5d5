// A reader of the pickles torch.save writes for state dicts. It builds dictionaries, sequences, texts, numbers
// and descriptions of tensors and can do nothing else: every global a pickle may ask for stands in one table,
// none of them is code, and whatever else is asked for is refused by name.
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace seprog {

struct PickledGlobal;

/// A run of elements somewhere in the file, by the key the pickle gives it.
struct PickledStorage {
  std::string_view key;
  at::ScalarType type = at::kFloat;
  int64_t elements = 0;
};

/// A strided view of a storage; offset and strides in elements. No element lies outside the storage, and
/// there are at most as many as it holds.
struct PickledTensor {
  const PickledStorage* storage = nullptr;
  int64_t offset = 0;
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides;
};

struct PickledSequence;
struct PickledDict;

/// Integers wider than 64 bits keep their little-endian two's-complement bytes.
struct PickledLong {
  std::string_view bytes;
};

using PickledValue =
    std::variant<std::monostate, bool, int64_t, double, std::string_view, PickledLong, const PickledGlobal*,
                 PickledSequence*, PickledDict*, const PickledStorage*, const PickledTensor*>;

struct PickledSequence {
  bool tuple = false;
  std::vector<PickledValue> items;
};

struct PickledDict {
  bool ordered = false;  // a collections.OrderedDict
  std::vector<std::pair<PickledValue, PickledValue>> items;
  const PickledValue* find(std::string_view key) const;
};

/// One pickle and what it describes. Texts are views into the bytes given, which must outlive it.
class Pickle {
 public:
  /// Reads up to the STOP of the pickle that begins at `bytes`; `rest`, if given, becomes what follows it.
  /// `where` is for messages: a path, and an entry in it. Throws CHECKPOINT_INVALID for a truncated or malformed pickle, for one of more than 2^22
  /// operations, and for one that asks for any code, naming what it asks for.
  Pickle(std::string_view bytes, std::string where, std::string_view* rest = nullptr);
  Pickle(const Pickle&) = delete;
  Pickle& operator=(const Pickle&) = delete;

  const PickledValue& value() const { return value_; }
  /// Every storage the pickle speaks of, in its order; a key may occur more than once.
  const std::deque<PickledStorage>& storages() const { return storages_; }

 private:
  friend class PickleMachine;

  // Nothing owns anything inside: no shape of the data can make a destructor or a walk recurse.
  std::deque<PickledSequence> sequences_;
  std::deque<PickledDict> dicts_;
  std::deque<PickledStorage> storages_;
  std::deque<PickledTensor> tensors_;
  PickledValue value_;
};

}  // namespace seprog
