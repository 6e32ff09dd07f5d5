// Where what can be made again is kept between processes.
#pragma once

#include <string>

namespace seprog {

/// $XDG_CACHE_HOME/seprog-native or ~/.cache/seprog-native; empty without a home.
std::string cacheFolder();

}  // namespace seprog
