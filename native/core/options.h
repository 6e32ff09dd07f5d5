// A typed reader of an option object. Options are decoded once, at the border of a class;
// a wrong type or an unknown key is CONFIG_INVALID and names the full path.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "json.h"

namespace seprog {

class Options {
 public:
  /// `path` is what errors call this object, e.g. "editor".
  Options(Json object, std::string path);

  bool has(const std::string& key) const;
  std::string string(const std::string& key, std::optional<std::string> fallback = {});
  /// One of `allowed`, else CONFIG_INVALID listing them.
  std::string choice(const std::string& key, const std::vector<std::string>& allowed,
                     std::optional<std::string> fallback = {});
  double number(const std::string& key, std::optional<double> fallback = {});
  int64_t integer(const std::string& key, std::optional<int64_t> fallback = {});
  bool boolean(const std::string& key, std::optional<bool> fallback = {});
  Options child(const std::string& key);
  const Json& raw(const std::string& key);

  /// Throws CONFIG_INVALID when a key was never read. Call it after the last read.
  void finish() const;

 private:
  const Json* take(const std::string& key);
  [[noreturn]] void expected(const std::string& what, const std::string& key, const Json* got) const;

  Json object_;
  std::string path_;
  std::set<std::string> read_;
};

}  // namespace seprog
