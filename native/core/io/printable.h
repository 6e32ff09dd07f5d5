// Text out of a foreign file, fit for a message.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace seprog {

/// At most 120 bytes, control characters as '?'.
inline std::string printable(std::string_view text) {
  std::string shown(text.substr(0, 120));
  std::replace_if(
      shown.begin(), shown.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return shown;
}

}  // namespace seprog
