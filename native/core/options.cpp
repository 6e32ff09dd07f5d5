#include "options.h"

#include <algorithm>
#include <cmath>

#include "error.h"

namespace seprog {
namespace {

std::string describe(const Json* got) {
  if (got == nullptr) return "nothing";
  std::string text = got->dump();
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

const Json kNull;

}  // namespace

Options::Options(Json object, std::string path) : object_(std::move(object)), path_(std::move(path)) {
  if (object_.isNull()) object_ = Json(Json::Object{});
  if (!object_.isObject()) {
    fail(ErrorCode::ConfigInvalid,
         "expected an object for `" + path_ + "` but received " + describe(&object_));
  }
}

void Options::expected(const std::string& what, const std::string& key, const Json* got) const {
  fail(ErrorCode::ConfigInvalid,
       "expected " + what + " for `" + path_ + "." + key + "` but received " + describe(got));
}

const Json* Options::take(const std::string& key) {
  read_.insert(key);
  const Json* value = object_.find(key);
  return value != nullptr && value->isNull() ? nullptr : value;
}

bool Options::has(const std::string& key) const {
  const Json* value = object_.find(key);
  return value != nullptr && !value->isNull();
}

std::string Options::string(const std::string& key, std::optional<std::string> fallback) {
  const Json* value = take(key);
  if (value == nullptr && fallback) return *fallback;
  if (value == nullptr || !value->isString()) expected("a string", key, value);
  return value->string();
}

std::string Options::choice(const std::string& key, const std::vector<std::string>& allowed,
                            std::optional<std::string> fallback) {
  const Json* value = take(key);
  if (value == nullptr && fallback) return *fallback;
  if (value == nullptr || !value->isString() ||
      std::find(allowed.begin(), allowed.end(), value->string()) == allowed.end()) {
    std::string list;
    for (const std::string& item : allowed) list += (list.empty() ? "\"" : ", \"") + item + "\"";
    expected("one of " + list, key, value);
  }
  return value->string();
}

double Options::number(const std::string& key, std::optional<double> fallback) {
  const Json* value = take(key);
  if (value == nullptr && fallback) return *fallback;
  if (value == nullptr || !value->isNumber()) expected("a number", key, value);
  return value->number();
}

int64_t Options::integer(const std::string& key, std::optional<int64_t> fallback) {
  const Json* value = take(key);
  if (value == nullptr && fallback) return *fallback;
  if (value == nullptr || !value->isNumber() || value->number() != std::floor(value->number()) ||
      std::fabs(value->number()) > 9007199254740992.0) {
    expected("a whole number", key, value);
  }
  return static_cast<int64_t>(value->number());
}

bool Options::boolean(const std::string& key, std::optional<bool> fallback) {
  const Json* value = take(key);
  if (value == nullptr && fallback) return *fallback;
  if (value == nullptr || !value->isBool()) expected("true or false", key, value);
  return value->boolean();
}

Options Options::child(const std::string& key) {
  const Json* value = take(key);
  return Options(value == nullptr ? Json(Json::Object{}) : *value, path_ + "." + key);
}

const Json& Options::raw(const std::string& key) {
  const Json* value = take(key);
  return value == nullptr ? kNull : *value;
}

void Options::finish() const {
  std::string unknown;
  for (const auto& [key, value] : object_.object()) {
    if (read_.count(key) == 0) unknown += (unknown.empty() ? "`" : ", `") + path_ + "." + key + "`";
  }
  if (unknown.empty()) return;
  std::string known;
  for (const std::string& key : read_) known += (known.empty() ? "" : ", ") + key;
  fail(ErrorCode::ConfigInvalid,
       "expected only known keys for `" + path_ + "` but received " + unknown + "; known here: " + known);
}

}  // namespace seprog
