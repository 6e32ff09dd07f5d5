#include "file_mapping.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "../error.h"

namespace seprog {

FileMapping::FileMapping(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (descriptor < 0 || ::fstat(descriptor, &info) != 0) {
    const std::string reason = std::strerror(errno);
    if (descriptor >= 0) ::close(descriptor);
    fail(ErrorCode::CheckpointInvalid, "expected a readable file for `" + path + "` but received: " + reason);
  }
  if (!S_ISREG(info.st_mode)) {
    ::close(descriptor);
    fail(ErrorCode::CheckpointInvalid,
         "expected a regular file for `" + path + "` but received something else");
  }
  size_ = static_cast<uint64_t>(info.st_size);
  if (size_ == 0) {
    ::close(descriptor);
    return;
  }
  void* address = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor, 0);
  const std::string reason = std::strerror(errno);
  ::close(descriptor);
  if (address == MAP_FAILED) {
    fail(ErrorCode::CheckpointInvalid, "expected to map `" + path + "` but received: " + reason);
  }
  data_ = static_cast<char*>(address);
}

FileMapping::~FileMapping() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

void FileMapping::release(uint64_t begin, uint64_t end) const {
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const uint64_t first = (begin + page - 1) / page * page;
  const uint64_t last = end / page * page;
  if (first < last) ::madvise(data_ + first, last - first, MADV_DONTNEED);
}

}  // namespace seprog
