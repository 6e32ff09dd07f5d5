// The zip layout, PKWARE's APPNOTE.TXT 4.3: local headers with data, the central directory, its end record
// (and before that, in zip64, a wider one and its locator). Numbers are little-endian.
#include "zip_reader.h"

#include <algorithm>
#include <cstdint>

#include "../error.h"
#include "printable.h"

namespace seprog {
namespace {

constexpr uint64_t kEndBytes = 22;
constexpr uint64_t kMaxCommentBytes = 0xFFFF;
constexpr uint64_t kLocatorBytes = 20;
constexpr uint64_t kEnd64Bytes = 56;
constexpr uint64_t kCentralBytes = 46;
constexpr uint64_t kLocalBytes = 30;
constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint32_t kCentralSignature = 0x02014b50;
constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50;
constexpr uint32_t kLocatorSignature = 0x07064b50;
constexpr uint16_t kZip64ExtraId = 1;
constexpr uint16_t kEncrypted = 1;
constexpr uint32_t kIn64 = 0xFFFFFFFF;  // "see the zip64 field"

struct Directory {
  uint64_t begin = 0;
  uint64_t bytes = 0;
  uint64_t entries = 0;
};

struct CentralEntry {
  std::string name;
  uint16_t flags = 0;
  uint16_t method = 0;
  uint64_t packedBytes = 0;
  uint64_t bytes = 0;
  uint64_t localBegin = 0;
};

class ZipReader {
 public:
  ZipReader(std::string_view archive, const std::string& path) : archive_(archive), path_(path) {}

  std::map<std::string, std::string_view, std::less<>> read() const {
    const Directory directory = findDirectory();
    std::map<std::string, std::string_view, std::less<>> entries;
    uint64_t at = directory.begin;
    for (uint64_t i = 0; i < directory.entries; ++i) {
      const CentralEntry entry = readCentral(at);
      if (!entries.emplace(entry.name, data(entry)).second) {
        refuse("one entry", entry.name, "two of this name");
      }
    }
    if (at != directory.begin + directory.bytes) {
      refuse("a directory of " + std::to_string(directory.bytes) + " bytes", "",
             std::to_string(at - directory.begin));
    }
    return entries;
  }

 private:
  [[noreturn]] void refuse(const std::string& wanted, const std::string& entry,
                           const std::string& got) const {
    fail(ErrorCode::CheckpointInvalid, "expected " + wanted + " for `" + path_ +
                                           (entry.empty() ? "" : ":" + printable(entry)) + "` but received " +
                                           got);
  }

  bool holds(uint64_t begin, uint64_t bytes) const {
    return begin <= archive_.size() && bytes <= archive_.size() - begin;
  }

  void need(uint64_t begin, uint64_t bytes, const std::string& entry) const {
    if (holds(begin, bytes)) return;
    refuse(std::to_string(bytes) + " bytes from byte " + std::to_string(begin), entry,
           std::to_string(archive_.size()) + " bytes in all; the file is truncated or damaged");
  }

  template <typename Number>
  Number number(uint64_t at) const {
    uint64_t value = 0;
    for (uint64_t i = 0; i < sizeof(Number); ++i) {
      value |= static_cast<uint64_t>(static_cast<unsigned char>(archive_[at + i])) << (8 * i);
    }
    return static_cast<Number>(value);
  }
  uint16_t u16(uint64_t at) const { return number<uint16_t>(at); }
  uint32_t u32(uint64_t at) const { return number<uint32_t>(at); }
  uint64_t u64(uint64_t at) const { return number<uint64_t>(at); }

  /// The record stands at the very end, behind it at most a comment.
  uint64_t findEnd() const {
    if (archive_.size() >= kEndBytes) {
      const uint64_t last = archive_.size() - kEndBytes;
      const uint64_t first = last > kMaxCommentBytes ? last - kMaxCommentBytes : 0;
      for (uint64_t at = last + 1; at-- > first;) {
        if (u32(at) == kEndSignature && u16(at + 20) == last - at) return at;
      }
    }
    refuse("a zip archive with its directory at the end", "", "none; the file is truncated or damaged");
  }

  Directory findDirectory() const {
    const uint64_t end = findEnd();
    Directory directory{u32(end + 16), u32(end + 12), u16(end + 10)};
    if (u16(end + 4) != 0 || u16(end + 6) != 0) refuse("one archive", "", "a part of a split one");
    if (end >= kLocatorBytes && u32(end - kLocatorBytes) == kLocatorSignature) {
      const uint64_t at = u64(end - kLocatorBytes + 8);
      need(at, kEnd64Bytes, "");
      if (u32(at) != kEnd64Signature) refuse("a zip64 end record", "", "something else; the file is damaged");
      directory = {u64(at + 48), u64(at + 40), u64(at + 32)};
    }
    need(directory.begin, directory.bytes, "");
    if (directory.entries > directory.bytes / kCentralBytes) {
      refuse("at most " + std::to_string(directory.bytes / kCentralBytes) + " entries", "",
             std::to_string(directory.entries));
    }
    return directory;
  }

  /// Moves `at` behind the entry.
  CentralEntry readCentral(uint64_t& at) const {
    need(at, kCentralBytes, "");
    if (u32(at) != kCentralSignature) refuse("a directory entry", "", "something else; the file is damaged");
    CentralEntry entry{"", u16(at + 8), u16(at + 10), u32(at + 20), u32(at + 24), u32(at + 42)};
    const uint64_t nameBytes = u16(at + 28);
    const uint64_t extraBytes = u16(at + 30);
    const uint64_t commentBytes = u16(at + 32);
    const uint64_t nameBegin = at + kCentralBytes;
    need(nameBegin, nameBytes + extraBytes + commentBytes, "");
    entry.name = archive_.substr(nameBegin, nameBytes);
    widen(entry, nameBegin + nameBytes, extraBytes);
    check(entry);
    at = nameBegin + nameBytes + extraBytes + commentBytes;
    return entry;
  }

  /// Takes from the zip64 extra field what does not fit 32 bits.
  void widen(CentralEntry& entry, uint64_t extraBegin, uint64_t extraBytes) const {
    const uint64_t extraEnd = extraBegin + extraBytes;
    for (uint64_t at = extraBegin; at + 4 <= extraEnd;) {
      const uint64_t begin = at + 4;
      const uint64_t end = begin + u16(at + 2);
      if (end > extraEnd) refuse("whole extra fields", entry.name, "a cut one");
      if (u16(at) == kZip64ExtraId) {
        uint64_t next = begin;
        for (uint64_t* field : {&entry.bytes, &entry.packedBytes, &entry.localBegin}) {
          if (*field != kIn64) continue;
          if (next + 8 > end) refuse("a zip64 field of its sizes", entry.name, "a shorter one");
          *field = u64(next);
          next += 8;
        }
        return;
      }
      at = end;
    }
  }

  void check(const CentralEntry& entry) const {
    const std::string_view name = entry.name;
    bool climbs = false;
    for (size_t begin = 0; begin <= name.size();) {
      const size_t end = std::min(name.find('/', begin), name.size());
      climbs = climbs || name.substr(begin, end - begin) == "..";
      begin = end + 1;
    }
    if (name.empty() || name[0] == '/' || climbs || name.find('\\') != name.npos ||
        name.find('\0') != name.npos) {
      refuse("entry names inside their archive", entry.name, "this name");
    }
    if ((entry.flags & kEncrypted) != 0) refuse("a plain entry", entry.name, "an encrypted one");
    if (entry.method != 0) {
      refuse("a stored entry", entry.name,
             "a compressed one (method " + std::to_string(entry.method) +
                 "); torch.save stores: was the file zipped again?");
    }
    if (entry.bytes != entry.packedBytes) refuse("equal sizes of a stored entry", entry.name, "two sizes");
  }

  std::string_view data(const CentralEntry& entry) const {
    need(entry.localBegin, kLocalBytes, entry.name);
    if (u32(entry.localBegin) != kLocalSignature) {
      refuse("a local header at byte " + std::to_string(entry.localBegin), entry.name, "something else");
    }
    const uint64_t nameBegin = entry.localBegin + kLocalBytes;
    const uint64_t nameBytes = u16(entry.localBegin + 26);
    need(nameBegin, nameBytes, entry.name);
    if (archive_.substr(nameBegin, nameBytes) != entry.name || u16(entry.localBegin + 8) != entry.method) {
      refuse("the same name and method in both headers", entry.name, "others; the file is damaged");
    }
    const uint64_t begin = nameBegin + nameBytes + u16(entry.localBegin + 28);
    need(begin, entry.bytes, entry.name);
    return archive_.substr(begin, entry.bytes);
  }

  std::string_view archive_;
  const std::string& path_;
};

}  // namespace

std::map<std::string, std::string_view, std::less<>> readStoredZip(std::string_view archive,
                                                                   const std::string& path) {
  return ZipReader(archive, path).read();
}

}  // namespace seprog
