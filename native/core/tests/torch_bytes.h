// Writes the bytes of PyTorch files, sound and hostile ones, opcode by opcode.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace seprog::torch_bytes {

/// Little-endian.
inline std::string number(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
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

inline std::string zip(const std::vector<Entry>& entries, const Archive& archive = {}) {
  std::string out, directory;
  for (const Entry& entry : entries) {
    const uint64_t begin = out.size();
    const uint64_t size = entry.bytes.size();
    const std::string& local = entry.localName.empty() ? entry.name : entry.localName;
    const std::string sizes = archive.zip64 ? std::string(8, '\xff') : number(size, 4) + number(size, 4);
    const std::string wide =
        archive.zip64 ? number(1, 2) + number(24, 2) + number(size, 8) + number(size, 8) + number(begin, 8)
                      : "";
    const std::string common = number(entry.flags, 2) + number(entry.method, 2) + number(0, 8) + sizes;
    // Data at a multiple of 64, as torch writes it.
    const size_t pad = 64 - (out.size() + 30 + local.size() + 4) % 64;
    out += "PK\3\4" + number(20, 2) + common + number(local.size(), 2) + number(pad + 4, 2) + local + "FB" +
           number(pad, 2) + std::string(pad, 'Z') + entry.bytes;
    directory += "PK\1\2" + number(20, 2) + number(20, 2) + common + number(entry.name.size(), 2) +
                 number(wide.size(), 2) + number(0, 10) +
                 (archive.zip64 ? std::string(4, '\xff') : number(begin, 4)) + entry.name + wide;
  }
  const uint64_t at = out.size();
  out += directory;
  if (archive.zip64) {
    const uint64_t end = out.size();
    out += "PK\6\6" + number(44, 8) + number(45, 2) + number(45, 2) + number(0, 8) +
           number(entries.size(), 8) + number(entries.size(), 8) + number(directory.size(), 8) +
           number(at, 8) + "PK\6\7" + number(0, 4) + number(end, 8) + number(1, 4);
  }
  const std::string wide(12, '\xff');
  out += "PK\5\6" + number(0, 4) +
         (archive.zip64 ? wide
                        : number(entries.size(), 2) + number(entries.size(), 2) +
                              number(directory.size(), 4) + number(at, 4)) +
         number(archive.comment.size(), 2) + archive.comment;
  return out;
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
