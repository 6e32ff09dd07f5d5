// Whole files, read in one go and written so that a reader never sees a half.
#pragma once

#include <string>
#include <string_view>

namespace seprog {

/// Throws CHECKPOINT_INVALID with the path and the system's reason.
std::string readFile(const std::string& path);
/// Temporary name beside the target, fsync, rename; the temporary is removed on failure.
void writeFileAtomic(const std::string& path, std::string_view bytes);

/// The same for a file that is written in pieces: nothing stands under `path` before commit(), and without
/// one the temporary is removed. Every failure is CHECKPOINT_INVALID with the path and the system's reason.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::string_view bytes);
  void commit();

 private:
  [[noreturn]] void refuse(const char* action) const;

  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;
};

}  // namespace seprog
