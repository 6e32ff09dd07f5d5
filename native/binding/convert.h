// Values between JavaScript and the core. Everything is copied, so that neither side sees the other's later
// changes. Wrong types are CONFIG_INVALID, rows that do not fit together DATA_INVALID; messages name the path
// of the argument.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "core/editors/editor.h"
#include "core/instrument/meter.h"
#include "core/json.h"
#include "core/tensor/token_batch.h"

namespace seprog::binding {

/// What an error message calls a value: `"text"`, `42`, `an array`, `a Float32Array`, …
std::string describe(const Napi::Value& value);

std::string toText(const Napi::Value& value, const char* path);
/// A whole number that a double holds exactly.
int64_t toInteger(const Napi::Value& value, const std::string& path);
std::vector<std::string> toTexts(const Napi::Value& value, const std::string& path);
/// An Int32Array.
std::vector<int32_t> toInts(const Napi::Value& value, const std::string& path);
std::vector<int64_t> toIntegers(const Napi::Value& value, const std::string& path);
/// Plain data only: null, booleans, finite numbers, strings, arrays and objects of them. Undefined members
/// are left out.
Json toJson(const Napi::Value& value, const std::string& path);

TokenRows toTokenRows(const Napi::Value& value, const std::string& path);
PairRows toPairRows(const Napi::Value& value, const std::string& path);
/// Absent members are views without rows.
RowViews toRowViews(const Napi::Value& value, const std::string& path);
EpisodeBatch toEpisodeBatch(const Napi::Value& value, const std::string& path);
EditRequests toEditRequests(const Napi::Value& value, const std::string& path);

Napi::Value fromFloats(Napi::Env env, const std::vector<float>& values);
Napi::Value fromInts(Napi::Env env, const std::vector<int32_t>& values);
Napi::Object fromTokenRows(Napi::Env env, const TokenRows& rows);
Napi::Object fromTokenScores(Napi::Env env, const TokenScores& scores);
Napi::Object fromGeneration(Napi::Env env, const Generation& generation);
/// A generation that holds the scores too.
Napi::Object fromReplies(Napi::Env env, const Replies& replies);
Napi::Object fromFigures(Napi::Env env, const Figures& figures);
Napi::Object fromMeasurement(Napi::Env env, const Measurement& measurement);

}  // namespace seprog::binding
