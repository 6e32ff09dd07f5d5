#include "call_options.h"

#include "cancel_token_wrap.h"
#include "convert.h"
#include "core/error.h"

namespace seprog::binding {
namespace {

constexpr const char* kPath = "options";

CancelFlag toCancelFlag(const Napi::Value& value) {
  const CancelTokenWrap* token = CancelTokenWrap::from(value);
  if (!token)
    fail(ErrorCode::ConfigInvalid,
         "expected a CancelToken for `options.cancel` but received " + describe(value));
  return token->flag();
}

MeasureLevel toMeasureLevel(const Napi::Value& value) {
  if (value.IsBoolean()) return value.As<Napi::Boolean>() ? MeasureLevel::Clocks : MeasureLevel::Nothing;
  if (value.IsString() && value.As<Napi::String>().Utf8Value() == "detail") return MeasureLevel::Detail;
  fail(ErrorCode::ConfigInvalid,
       "expected true, false or \"detail\" for `options.measure` but received " + describe(value));
}

}  // namespace

CallOptions readCallOptions(const Napi::Value& value, const std::function<void(Options&)>& readOwn,
                            const TakeMember& take) {
  CallOptions call;
  Json::Object rest;
  if (!value.IsUndefined()) {
    if (!value.IsObject() || value.IsArray() || value.IsFunction()) {
      fail(ErrorCode::ConfigInvalid, "expected an object for `options` but received " + describe(value));
    }
    const auto object = value.As<Napi::Object>();
    const Napi::Array keys = object.GetPropertyNames();
    for (uint32_t i = 0; i < keys.Length(); ++i) {
      const std::string key = keys.Get(i).ToString();
      const Napi::Value member = object.Get(key);
      if (member.IsUndefined()) continue;
      if (key == "cancel") {
        call.cancel = toCancelFlag(member);
      } else if (key == "measure") {
        call.measure = toMeasureLevel(member);
      } else if (!take || !take(key, member)) {
        rest.emplace_back(key, toJson(member, std::string(kPath) + "." + key));
      }
    }
  }
  Options own(Json(std::move(rest)), kPath);
  if (readOwn) readOwn(own);
  own.finish();
  return call;
}

}  // namespace seprog::binding
