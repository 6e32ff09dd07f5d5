#include "editor_wrap.h"

#include "core/editors/seprog/seprog.h"
#include "edit_memory_wrap.h"
#include "edited_model_wrap.h"
#include "scorer_calls.h"
#include "train_options.h"

namespace seprog::binding {
namespace {

std::shared_ptr<SeprogEditor> withMemorySupport(const std::shared_ptr<Editor>& editor) {
  auto seprog = std::dynamic_pointer_cast<SeprogEditor>(editor);
  if (!seprog) {
    fail(ErrorCode::Unsupported,
         "expected an editor with a memory (seprog) but received one of kind " + editor->kind());
  }
  return seprog;
}

auto toMemoryHandle(std::shared_ptr<Channel> channel) {
  return [channel = std::move(channel)](Napi::Env env, std::shared_ptr<EditMemoryContent>& content) {
    return EditMemoryWrap::make(env, channel, std::move(content));
  };
}

}  // namespace

const napi_type_tag EditorWrap::kTag = {0x5e9a0c11b0e84d01, 0xa1c6e7f0d3b24905};

Napi::Function EditorWrap::define(Napi::Env env) {
  return DefineClass(
      env, kClassName,
      {InstanceAccessor("kind", &EditorWrap::kind, nullptr),
       InstanceMethod("calibrate", &EditorWrap::calibrate),
       InstanceMethod("trainStep", &EditorWrap::trainStep), InstanceMethod("validate", &EditorWrap::validate),
       InstanceMethod("save", &EditorWrap::save), InstanceMethod("restore", &EditorWrap::restore),
       InstanceMethod("fingerprint", &EditorWrap::fingerprint), InstanceMethod("edit", &EditorWrap::edit),
       InstanceMethod("createMemory", &EditorWrap::createMemory),
       InstanceMethod("loadMemory", &EditorWrap::loadMemory),
       InstanceMethod("withMemory", &EditorWrap::withMemory), InstanceMethod("dispose", &EditorWrap::dispose),
       InstanceAccessor("disposed", &EditorWrap::disposed, nullptr)});
}

EditorWrap::EditorWrap(const Napi::CallbackInfo& info) : Handle(info), kind_(live()->kind()) {}

Napi::Value EditorWrap::kind(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), kind_); }

Napi::Value EditorWrap::calibrate(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const auto editor = live();
    auto sample = toEpisodeBatch(info[0], "sample");
    return start(
        info.Env(), channel(), readCallOptions(info[1]),
        [editor, sample = std::move(sample)](JobContext& context) {
          return editor->calibrate(sample, context);
        },
        &fromFigures);
  });
}

Napi::Value EditorWrap::trainStep(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const auto editor = live();
    auto batch = toEpisodeBatch(info[0], "batch");
    double factor = 1;
    const auto [options, learningRate] =
        readStepOptions(info[1], [&](Options& own) { factor = own.number("rateFactor", factor); });
    return start(
        info.Env(), channel(), options,
        [editor, batch = std::move(batch), rate = StepRate(learningRate, factor)](JobContext& context) {
          return editor->trainStep(batch, rate, context);
        },
        &fromFigures);
  });
}

Napi::Value EditorWrap::validate(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const auto editor = live();
    auto batch = toEpisodeBatch(info[0], "batch");
    return start(
        info.Env(), channel(), readCallOptions(info[1]),
        [editor, batch = std::move(batch)](JobContext& context) { return editor->validate(batch, context); },
        &fromFigures);
  });
}

Napi::Value EditorWrap::save(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const auto editor = live();
    const std::string directory = toText(info[0], "directory");
    const auto [options, optimizer] = readSaveOptions(info[1]);
    return start(info.Env(), channel(), options, [editor, directory, optimizer = optimizer](JobContext&) {
      editor->save(directory, optimizer);
    });
  });
}

Napi::Value EditorWrap::restore(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const auto editor = live();
    const std::string directory = toText(info[0], "directory");
    const auto [options, optimizer] = readSaveOptions(info[1]);
    return start(info.Env(), channel(), options, [editor, directory, optimizer = optimizer](JobContext&) {
      editor->restore(directory, optimizer);
    });
  });
}

Napi::Value EditorWrap::fingerprint(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    return start(
        info.Env(), channel(), readCallOptions(info[0]),
        [editor = live()](JobContext&) { return editor->fingerprint(); },
        [](Napi::Env env, const std::string& text) { return Napi::String::New(env, text); });
  });
}

Napi::Value EditorWrap::edit(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const auto editor = live();
    auto requests = toEditRequests(info[0], "requests");
    auto onto = toScorer(info[1], channel(), "onto");
    return start(
        info.Env(), channel(), readCallOptions(info[2]),
        [editor, requests = std::move(requests), onto = std::move(onto)](JobContext& context) {
          return editor->edit(requests, onto, context);
        },
        [channel = sharedChannel()](Napi::Env env, std::shared_ptr<Scorer>& scorer) {
          Napi::Object object = fromFigures(env, scorer->editFigures());
          object.Set("model", EditedModelWrap::fromScorer(env, channel, std::move(scorer)));
          return object;
        });
  });
}

Napi::Value EditorWrap::createMemory(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const auto editor = withMemorySupport(live());
    return start(
        info.Env(), channel(), readCallOptions(info[0]),
        [editor](JobContext&) {
          auto memory = std::make_shared<EditMemory>(editor->width(), editor->fingerprint());
          return std::make_shared<EditMemoryContent>(EditMemoryContent{editor, std::move(memory)});
        },
        toMemoryHandle(sharedChannel()));
  });
}

Napi::Value EditorWrap::loadMemory(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const auto editor = withMemorySupport(live());
    const std::string path = toText(info[0], "path");
    return start(
        info.Env(), channel(), readCallOptions(info[1]),
        [editor, path](JobContext&) {
          auto memory =
              std::make_shared<EditMemory>(EditMemory::load(path, editor->width(), editor->fingerprint()));
          return std::make_shared<EditMemoryContent>(EditMemoryContent{editor, std::move(memory)});
        },
        toMemoryHandle(sharedChannel()));
  });
}

Napi::Value EditorWrap::withMemory(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const auto editor = withMemorySupport(live());
    const auto content = EditMemoryWrap::argument(info[0], channel(), "memory").live();
    std::string gate;
    const CallOptions options = readCallOptions(info[1], [&](Options& own) {
      gate = own.choice("gate", {"scope", "always"}, "scope");
    });
    return start(
        info.Env(), channel(), options,
        [editor, content, gate](JobContext&) {
          if (content->memory->fingerprint() != editor->fingerprint()) {
            fail(ErrorCode::ConfigInvalid,
                 "expected a memory made by this editor for `memory` but received one of another or of other "
                 "weights");
          }
          return editor->withMemory(content->memory, gate);
        },
        [channel = sharedChannel()](Napi::Env env, std::shared_ptr<Scorer>& scorer) {
          return EditedModelWrap::fromScorer(env, channel, std::move(scorer));
        });
  });
}

}  // namespace seprog::binding
