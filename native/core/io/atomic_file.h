// Whole files, read in one go and written so that a reader never sees a half.
#pragma once

#include <string>
#include <string_view>

namespace seprog {

/// Throws CHECKPOINT_INVALID with the path and the system's reason.
std::string readFile(const std::string& path);
/// Temporary name beside the target, fsync, rename; the temporary is removed on failure.
void writeFileAtomic(const std::string& path, std::string_view bytes);

}  // namespace seprog
