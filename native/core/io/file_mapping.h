// A whole file in memory without reading it: pages come from the system's cache as they are touched.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace seprog {

class FileMapping {
 public:
  /// Throws CHECKPOINT_INVALID with the path and the system's reason; for anything but a regular file too.
  explicit FileMapping(const std::string& path);
  ~FileMapping();
  FileMapping(const FileMapping&) = delete;
  FileMapping& operator=(const FileMapping&) = delete;

  /// Writable, but private: what is changed gets pages of its own, the file never changes.
  char* data() const { return data_; }
  uint64_t size() const { return size_; }
  std::string_view bytes() const { return {data_, size_}; }
  /// Lets the system take back the pages that lie wholly within this range of bytes. Changes made to them
  /// are lost; a later read brings the file's bytes again.
  void release(uint64_t begin, uint64_t end) const;

 private:
  char* data_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace seprog
