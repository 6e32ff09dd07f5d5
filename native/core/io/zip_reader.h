// Zip archives whose entries are stored, not compressed: what torch.save writes. Nothing is unpacked; an entry
// is a range of the archive's own bytes.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace seprog {

/// Names of an archive to the bytes of their entries, views into `archive`; zip64 included. `path` is for
/// messages only. Throws CHECKPOINT_INVALID: truncated or malformed archive, compressed or encrypted entries,
/// a name that occurs twice or leads out of its folder, local and central headers that disagree.
std::map<std::string, std::string_view, std::less<>> readStoredZip(std::string_view archive,
                                                                   const std::string& path);

}  // namespace seprog
