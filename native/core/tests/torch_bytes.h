// Writes the bytes of PyTorch files, sound and hostile ones, opcode by opcode.
#pragma once

#include <cstdint>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace seprog::torch_bytes {

/// Little-endian, in as many bytes as asked for: more than eight too.
inline std::string number(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i, value >>= 8) out += static_cast<char>(value & 0xFF);
  return out;
}

// Pickle

inline std::string text(const std::string& value) {
  return std::string("X").append(number(value.size(), 4)).append(value);
}
inline std::string integer(int64_t value) { return "\x8a\x08" + number(static_cast<uint64_t>(value), 8); }
inline std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string tuple(const std::string& items) { return "(" + items + "t"; }
inline std::string counts(const std::vector<int64_t>& values) {
  std::string items;
  for (const int64_t value : values) items += integer(value);
  return tuple(items);
}
inline std::string call(const std::string& callable, const std::string& arguments) {
  return callable + tuple(arguments) + "R";
}
inline std::string orderedDict() { return call(global("collections", "OrderedDict"), ""); }
/// A dictionary whose `items` are keys and values in turn.
inline std::string dict(const std::string& items) { return "}(" + items + "u"; }
inline std::string storage(const std::string& type, const std::string& key, int64_t elements,
                           const std::string& more = "") {
  return tuple(text("storage") + global("torch", type) + text(key) + text("cpu") + integer(elements) + more) +
         "Q";
}
inline std::string tensor(const std::string& storage, int64_t offset, const std::vector<int64_t>& sizes,
                          const std::vector<int64_t>& strides) {
  return call(global("torch._utils", "_rebuild_tensor_v2"),
              storage + integer(offset) + counts(sizes) + counts(strides) + "\x89" + orderedDict());
}
inline std::string pickle(const std::string& body) { return "\x80\x02" + body + "."; }

// Zip

struct Entry {
  std::string name;
  std::string bytes;
  uint16_t method = 0;
  uint16_t flags = 0;
  std::string localName = {};  // empty: the same
};

struct Archive {
  bool zip64 = false;  // sizes, offsets and the end record in their wide forms
  std::string comment = {};
};

class ZipWriter {
 public:
  ZipWriter(std::ostream& out, Archive archive) : out_(out), archive_(std::move(archive)) {}

  /// Stores `bytes`, whatever `entry.bytes` holds.
  void add(const Entry& entry, std::string_view bytes) {
    const uint64_t begin = at_;
    const std::string& local = entry.localName.empty() ? entry.name : entry.localName;
    const bool wide = archive_.zip64;
    const std::string sizes =
        wide ? std::string(8, '\xff') : number(bytes.size(), 4) + number(bytes.size(), 4);
    const std::string common = number(entry.flags, 2) + number(entry.method, 2) + number(0, 8) + sizes;
    // Data at a multiple of 64, as torch writes it.
    const size_t pad = 64 - (at_ + 30 + local.size() + 4) % 64;
    put("PK\3\4" + number(20, 2) + common + number(local.size(), 2) + number(pad + 4, 2) + local + "FB" +
        number(pad, 2) + std::string(pad, 'Z'));
    put(bytes);
    std::string extra;
    if (wide) {
      extra =
          number(1, 2) + number(24, 2) + number(bytes.size(), 8) + number(bytes.size(), 8) + number(begin, 8);
    }
    directory_ += "PK\1\2" + number(20, 2) + number(20, 2) + common + number(entry.name.size(), 2) +
                  number(extra.size(), 2) + number(0, 10) +
                  (wide ? std::string(4, '\xff') : number(begin, 4)) + entry.name + extra;
    ++entries_;
  }

  void finish() {
    const uint64_t begin = at_;
    put(directory_);
    std::string places =
        number(entries_, 2) + number(entries_, 2) + number(directory_.size(), 4) + number(begin, 4);
    if (archive_.zip64) {
      const uint64_t end = at_;
      put("PK\6\6" + number(44, 8) + number(45, 2) + number(45, 2) + number(0, 8) + number(entries_, 8) +
          number(entries_, 8) + number(directory_.size(), 8) + number(begin, 8) + "PK\6\7" + number(0, 4) +
          number(end, 8) + number(1, 4));
      places.assign(places.size(), '\xff');
    }
    put("PK\5\6" + number(0, 4) + places + number(archive_.comment.size(), 2) + archive_.comment);
  }

 private:
  void put(std::string_view bytes) {
    out_.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    at_ += bytes.size();
  }

  std::ostream& out_;
  Archive archive_;
  uint64_t at_ = 0;
  uint64_t entries_ = 0;
  std::string directory_;
};

inline std::string zip(const std::vector<Entry>& entries, const Archive& archive = {}) {
  std::ostringstream out;
  ZipWriter writer(out, archive);
  for (const Entry& entry : entries) writer.add(entry, entry.bytes);
  writer.finish();
  return out.str();
}

// The two containers

using Storages = std::vector<std::pair<std::string, std::string>>;  // key and raw bytes

inline std::string zipFile(const std::string& state, const Storages& storages) {
  std::vector<Entry> entries = {{"archive/data.pkl", state}, {"archive/byteorder", "little"}};
  for (const auto& [key, bytes] : storages) entries.push_back({"archive/data/" + key, bytes});
  entries.push_back({"archive/version", "3\n"});
  return zip(entries);
}

inline std::string legacyPreamble(bool littleEndian = true) {
  return pickle("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19") + pickle(integer(1001)) +
         pickle(dict(text("little_endian") + (littleEndian ? "\x88" : "\x89")));
}

/// `elementBytes` of every storage.
inline std::string legacyFile(const std::string& state, const Storages& storages, size_t elementBytes) {
  std::string keys, raw;
  for (const auto& [key, bytes] : storages) {
    keys += text(key);
    raw += number(bytes.size() / elementBytes, 8) + bytes;
  }
  return legacyPreamble() + state + pickle("](" + keys + "e") + raw;
}

}  // namespace seprog::torch_bytes
