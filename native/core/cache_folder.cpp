#include "cache_folder.h"

#include <cstdlib>

namespace seprog {

std::string cacheFolder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/') {
    return std::string(cache) + "/seprog-native";
  }
  const char* home = std::getenv("HOME");
  return home == nullptr || *home == 0 ? "" : std::string(home) + "/.cache/seprog-native";
}

}  // namespace seprog
