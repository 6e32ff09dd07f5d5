#include "edit_memory_wrap.h"

namespace seprog::binding {
namespace {

Napi::Value fromInteger(Napi::Env env, int64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

Napi::Value fromIds(Napi::Env env, const std::vector<int64_t>& ids) {
  auto array = Napi::Array::New(env, ids.size());
  for (uint32_t i = 0; i < ids.size(); ++i) array.Set(i, fromInteger(env, ids[i]));
  return array;
}

Napi::Value fromRows(Napi::Env env, const std::vector<MemoryRow>& rows) {
  auto array = Napi::Array::New(env, rows.size());
  for (uint32_t i = 0; i < rows.size(); ++i) {
    auto object = Napi::Object::New(env);
    object.Set("id", fromInteger(env, rows[i].id));
    object.Set("label", rows[i].label);
    array.Set(i, object);
  }
  return array;
}

void requireRows(const TokenRows& editText, size_t wanted) {
  if (editText.rows() == static_cast<int64_t>(wanted)) return;
  fail(ErrorCode::DataInvalid, "expected one label per row of `editText` but received " +
                                   std::to_string(wanted) + " labels for " + std::to_string(editText.rows()) +
                                   " rows");
}

}  // namespace

const napi_type_tag EditMemoryWrap::kTag = {0x5e9a0c11b0e84d01, 0xa1c6e7f0d3b24904};

Napi::Function EditMemoryWrap::define(Napi::Env env) {
  return DefineClass(
      env, kClassName,
      {InstanceMethod("add", &EditMemoryWrap::add), InstanceMethod("update", &EditMemoryWrap::update),
       InstanceMethod("delete", &EditMemoryWrap::remove), InstanceMethod("list", &EditMemoryWrap::list),
       InstanceMethod("size", &EditMemoryWrap::size), InstanceMethod("snapshot", &EditMemoryWrap::snapshot),
       InstanceMethod("rollback", &EditMemoryWrap::rollback), InstanceMethod("save", &EditMemoryWrap::save),
       InstanceMethod("dispose", &EditMemoryWrap::dispose),
       InstanceAccessor("disposed", &EditMemoryWrap::disposed, nullptr)});
}

Napi::Value EditMemoryWrap::add(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const auto content = live();
    auto editText = toTokenRows(info[0], "editText");
    auto labels = toTexts(info[1], "labels");
    requireRows(editText, labels.size());
    const CallOptions options = readCallOptions(info[2]);
    return start(
        info.Env(), channel(), options,
        [content, editText = std::move(editText), labels = std::move(labels)](JobContext& context) {
          if (labels.empty()) return std::vector<int64_t>{};
          return content->memory->add(labels, content->editor->embed(editText, context));
        },
        &fromIds);
  });
}

Napi::Value EditMemoryWrap::update(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const auto content = live();
    const int64_t id = toInteger(info[0], "id");
    auto editText = toTokenRows(info[1], "editText");
    auto label = toText(info[2], "label");
    requireRows(editText, 1);
    const CallOptions options = readCallOptions(info[3]);
    return start(
        info.Env(), channel(), options,
        [content, id, editText = std::move(editText), label = std::move(label)](JobContext& context) {
          content->memory->update(id, label, content->editor->embed(editText, context)[0]);
        });
  });
}

Napi::Value EditMemoryWrap::remove(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const auto content = live();
    auto ids = toIntegers(info[0], "ids");
    return start(info.Env(), channel(), readCallOptions(info[1]),
                 [content, ids = std::move(ids)](JobContext&) { content->memory->remove(ids); });
  });
}

Napi::Value EditMemoryWrap::list(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    return start(
        info.Env(), channel(), readCallOptions(info[0]),
        [content = live()](JobContext&) { return content->memory->rows(); }, &fromRows);
  });
}

Napi::Value EditMemoryWrap::size(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    return start(
        info.Env(), channel(), readCallOptions(info[0]),
        [content = live()](JobContext&) { return content->memory->size(); }, &fromInteger);
  });
}

Napi::Value EditMemoryWrap::snapshot(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    return start(
        info.Env(), channel(), readCallOptions(info[0]),
        [content = live()](JobContext&) { return content->memory->snapshot(); }, &fromInteger);
  });
}

Napi::Value EditMemoryWrap::rollback(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const int64_t snapshotId = toInteger(info[0], "snapshotId");
    return start(info.Env(), channel(), readCallOptions(info[1]),
                 [content = live(), snapshotId](JobContext&) { content->memory->rollback(snapshotId); });
  });
}

Napi::Value EditMemoryWrap::save(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const std::string path = toText(info[0], "path");
    return start(info.Env(), channel(), readCallOptions(info[1]),
                 [content = live(), path](JobContext&) { content->memory->save(path); });
  });
}

}  // namespace seprog::binding
