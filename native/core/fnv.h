// FNV-1a, 64 bits: tells contents apart, no defence against forgery.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

namespace seprog {

class Fnv {
 public:
  void bytes(const void* data, size_t count) {
    const auto* byte = static_cast<const unsigned char*>(data);
    for (size_t i = 0; i < count; ++i) {
      hash_ ^= byte[i];
      hash_ *= 0x100000001b3ULL;
    }
  }
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325ULL;
};

/// 16 hex digits.
inline std::string hex(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

}  // namespace seprog
