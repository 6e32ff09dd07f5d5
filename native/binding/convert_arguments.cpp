#include <cmath>

#include "convert.h"
#include "core/error.h"

namespace seprog::binding {
namespace {

constexpr int kMaxDepth = 64;
constexpr double kMaxSafeInteger = 9007199254740991.0;

[[noreturn]] void expected(const std::string& what, const std::string& path, const Napi::Value& got) {
  fail(ErrorCode::ConfigInvalid, "expected " + what + " for `" + path + "` but received " + describe(got));
}

Napi::Object toObject(const Napi::Value& value, const std::string& path) {
  if (!value.IsObject() || value.IsArray() || value.IsFunction()) expected("an object", path, value);
  return value.As<Napi::Object>();
}

Napi::Array toArray(const Napi::Value& value, const std::string& path, const char* what) {
  if (!value.IsArray()) expected(what, path, value);
  return value.As<Napi::Array>();
}

std::string item(const std::string& path, uint32_t index) { return path + "[" + std::to_string(index) + "]"; }

Json toJson(const Napi::Value& value, const std::string& path, int depth) {
  if (depth > kMaxDepth)
    fail(ErrorCode::ConfigInvalid, "expected at most 64 levels for `" + path + "` but received more");
  if (value.IsNull()) return Json(nullptr);
  if (value.IsBoolean()) return Json(value.As<Napi::Boolean>().Value());
  if (value.IsString()) return Json(value.As<Napi::String>().Utf8Value());
  if (value.IsNumber()) {
    const double number = value.As<Napi::Number>().DoubleValue();
    if (!std::isfinite(number)) expected("a finite number", path, value);
    return Json(number);
  }
  if (value.IsArray()) {
    const auto array = value.As<Napi::Array>();
    Json::Array items;
    for (uint32_t i = 0; i < array.Length(); ++i)
      items.push_back(toJson(array.Get(i), item(path, i), depth + 1));
    return Json(std::move(items));
  }
  if (!value.IsObject() || value.IsFunction() || value.IsTypedArray()) expected("plain data", path, value);
  const auto object = value.As<Napi::Object>();
  const Napi::Array keys = object.GetPropertyNames();
  Json::Object members;
  for (uint32_t i = 0; i < keys.Length(); ++i) {
    const std::string key = keys.Get(i).ToString();
    const Napi::Value member = object.Get(key);
    if (!member.IsUndefined()) members.emplace_back(key, toJson(member, path + "." + key, depth + 1));
  }
  return Json(std::move(members));
}

void requireRows(int64_t got, int64_t wanted, const std::string& path) {
  if (got == wanted) return;
  fail(ErrorCode::DataInvalid,
       "expected " + std::to_string(wanted) + " rows for `" + path + "` but received " + std::to_string(got));
}

}  // namespace

std::string describe(const Napi::Value& value) {
  switch (value.Type()) {
    case napi_undefined:
      return "undefined";
    case napi_null:
      return "null";
    case napi_boolean:
    case napi_number:
      return value.ToString().Utf8Value();
    case napi_string: {
      std::string text = value.As<Napi::String>().Utf8Value();
      if (text.size() > 60) text = text.substr(0, 57) + "...";
      return "\"" + text + "\"";
    }
    case napi_symbol:
      return "a symbol";
    case napi_function:
      return "a function";
    case napi_bigint:
      return "a bigint";
    case napi_external:
    case napi_object:
      break;
  }
  if (value.IsArray()) return "an array";
  if (value.IsTypedArray()) return "another typed array";
  return "an object";
}

std::string toText(const Napi::Value& value, const char* path) {
  if (!value.IsString()) expected("a string", path, value);
  std::string text = value.As<Napi::String>().Utf8Value();
  // The system would take a path to end there.
  if (text.find('\0') != std::string::npos) expected("a string without NUL characters", path, value);
  return text;
}

int64_t toInteger(const Napi::Value& value, const std::string& path) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : 0.5;
  if (std::floor(number) != number || std::fabs(number) > kMaxSafeInteger)
    expected("a whole number", path, value);
  return static_cast<int64_t>(number);
}

std::vector<std::string> toTexts(const Napi::Value& value, const std::string& path) {
  const Napi::Array array = toArray(value, path, "an array of strings");
  std::vector<std::string> texts;
  for (uint32_t i = 0; i < array.Length(); ++i) texts.push_back(toText(array.Get(i), item(path, i).c_str()));
  return texts;
}

std::vector<int32_t> toInts(const Napi::Value& value, const std::string& path) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) {
    expected("an Int32Array", path, value);
  }
  const auto array = value.As<Napi::Int32Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

std::vector<int64_t> toIntegers(const Napi::Value& value, const std::string& path) {
  const Napi::Array array = toArray(value, path, "an array of whole numbers");
  std::vector<int64_t> integers;
  for (uint32_t i = 0; i < array.Length(); ++i) integers.push_back(toInteger(array.Get(i), item(path, i)));
  return integers;
}

Json toJson(const Napi::Value& value, const std::string& path) { return toJson(value, path, 0); }

TokenRows toTokenRows(const Napi::Value& value, const std::string& path) {
  const Napi::Object object = toObject(value, path);
  TokenRows rows{toInts(object.Get("ids"), path + ".ids"), toInts(object.Get("lengths"), path + ".lengths")};
  // Here and not later: the core slices rows before it pads them.
  int64_t sum = 0;
  for (const int32_t length : rows.lengths) {
    if (length < 0) {
      fail(ErrorCode::DataInvalid,
           "expected lengths of 0 or more for `" + path + ".lengths` but received " + std::to_string(length));
    }
    sum += length;
  }
  if (sum != static_cast<int64_t>(rows.ids.size())) {
    fail(ErrorCode::DataInvalid, "expected lengths that add up to the " + std::to_string(rows.ids.size()) +
                                     " ids of `" + path + "` but received a sum of " + std::to_string(sum));
  }
  const Napi::Value types = object.Get("types");
  if (types.IsUndefined()) return rows;
  rows.types = toInts(types, path + ".types");
  if (rows.types.size() != rows.ids.size()) {
    fail(ErrorCode::DataInvalid, "expected one type for each of the " + std::to_string(rows.ids.size()) +
                                     " ids for `" + path + ".types` but received " +
                                     std::to_string(rows.types.size()));
  }
  return rows;
}

PairRows toPairRows(const Napi::Value& value, const std::string& path) {
  const Napi::Object object = toObject(value, path);
  PairRows rows{toTokenRows(object.Get("source"), path + ".source"),
                toTokenRows(object.Get("target"), path + ".target")};
  requireRows(rows.target.rows(), rows.source.rows(), path + ".target");
  return rows;
}

namespace {

TokenRows optionalRows(const Napi::Object& object, const std::string& path, const char* key) {
  const Napi::Value member = object.Get(key);
  return member.IsUndefined() ? TokenRows{} : toTokenRows(member, path + "." + key);
}

RowViews optionalViews(const Napi::Object& object, const std::string& path, const char* key) {
  const Napi::Value member = object.Get(key);
  return member.IsUndefined() ? RowViews{} : toRowViews(member, path + "." + key);
}

void requireNoneOrRows(const TokenRows& rows, int64_t wanted, const std::string& path) {
  if (rows.rows() > 0) requireRows(rows.rows(), wanted, path);
}

}  // namespace

RowViews toRowViews(const Napi::Value& value, const std::string& path) {
  const Napi::Object object = toObject(value, path);
  return {optionalRows(object, path, "classifier"), optionalRows(object, path, "counterfactual")};
}

EpisodeBatch toEpisodeBatch(const Napi::Value& value, const std::string& path) {
  const Napi::Object object = toObject(value, path);
  EpisodeBatch batch;
  batch.episodes = toInteger(object.Get("episodes"), path + ".episodes");
  if (const Napi::Value regroupings = object.Get("regroupings"); !regroupings.IsUndefined()) {
    for (const int32_t n : toInts(regroupings, path + ".regroupings")) batch.regroupings.push_back(n);
  }
  batch.edits = toPairRows(object.Get("edits"), path + ".edits");
  batch.editText = toTokenRows(object.Get("editText"), path + ".editText");
  batch.inScope = toPairRows(object.Get("inScope"), path + ".inScope");
  batch.outScope = toPairRows(object.Get("outScope"), path + ".outScope");
  batch.editPrefix = optionalRows(object, path, "editPrefix");
  batch.inScopeViews = optionalViews(object, path, "inScopeViews");
  batch.outScopeViews = optionalViews(object, path, "outScopeViews");
  const int64_t rows = batch.edits.rows();
  if (batch.episodes < 1 || rows < 1 || rows % batch.episodes != 0) {
    fail(ErrorCode::DataInvalid, "expected rows of `" + path + ".edits` that divide into " +
                                     std::to_string(batch.episodes) + " episodes but received " +
                                     std::to_string(rows));
  }
  requireRows(batch.editText.rows(), rows, path + ".editText");
  requireRows(batch.inScope.rows(), rows, path + ".inScope");
  requireRows(batch.outScope.rows(), rows, path + ".outScope");
  requireNoneOrRows(batch.editPrefix, rows, path + ".editPrefix");
  for (const auto& [views, name] :
       {std::pair{&batch.inScopeViews, "inScopeViews"}, std::pair{&batch.outScopeViews, "outScopeViews"}}) {
    requireNoneOrRows(views->classifier, rows, path + "." + name + ".classifier");
    requireNoneOrRows(views->counterfactual, rows, path + "." + name + ".counterfactual");
  }
  return batch;
}

EditRequests toEditRequests(const Napi::Value& value, const std::string& path) {
  const Napi::Object object = toObject(value, path);
  EditRequests requests{toPairRows(object.Get("edits"), path + ".edits"),
                        toTokenRows(object.Get("editText"), path + ".editText"),
                        toTexts(object.Get("labels"), path + ".labels"),
                        optionalRows(object, path, "editPrefix")};
  if (const Napi::Value outScope = object.Get("outScope"); !outScope.IsUndefined()) {
    requests.outScope = toPairRows(outScope, path + ".outScope");
  }
  const int64_t rows = requests.edits.rows();
  requireRows(requests.editText.rows(), rows, path + ".editText");
  requireRows(static_cast<int64_t>(requests.labels.size()), rows, path + ".labels");
  requireNoneOrRows(requests.editPrefix, rows, path + ".editPrefix");
  return requests;
}

}  // namespace seprog::binding
