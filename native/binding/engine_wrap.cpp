#include "engine_wrap.h"

#include "core/engine/cores.h"
#include "core/engine/devices.h"
#include "core/instrument/process_memory.h"
#include "core/plan/planned_device.h"
#include "core/tensor/matmul_backend.h"
#include "editor_wrap.h"
#include "fine_tuner_wrap.h"
#include "model_wrap.h"
#include "promise_call.h"

namespace seprog::binding {
namespace {

constexpr int64_t kMaxThreads = 1024;

BaseDtype readDtype(Options& options) {
  return dtypeFrom(options.choice("dtype", {"fp32", "fp16", "bf16", "int8"}, "fp32"));
}

/// Something new on the device and what it holds there, as far as the allocator can tell.
template <typename T>
struct Made {
  std::shared_ptr<T> content;
  int64_t bytes;
};

template <typename Make>
auto makeCounted(const c10::Device& device, Make make) {
  DeviceMemory& memory = DeviceMemory::of(device);
  const int64_t before = memory.counts().allocatedBytes;
  auto content = make();
  return Made<typename decltype(content)::element_type>{std::move(content),
                                                        memory.counts().allocatedBytes - before};
}

auto toModelHandle(std::shared_ptr<Channel> channel) {
  return [channel = std::move(channel)](Napi::Env env, std::shared_ptr<ModelContent>& content) {
    return ModelWrap::fromContent(env, channel, std::move(content));
  };
}

struct MemoryStats {
  MemoryCounts counts;
  int64_t processPeakBytes;
};

Napi::Value fromMemoryStats(Napi::Env env, const MemoryStats& stats) {
  auto object = Napi::Object::New(env);
  object.Set("allocatedBytes", static_cast<double>(stats.counts.allocatedBytes));
  object.Set("peakBytes", static_cast<double>(stats.counts.peakBytes));
  object.Set("reservedBytes", static_cast<double>(stats.counts.reservedBytes));
  object.Set("processPeakBytes", static_cast<double>(stats.processPeakBytes));
  return object;
}

std::shared_ptr<Channel> openChannel(const Napi::CallbackInfo& info) {
  Options options(info[0].IsUndefined() ? Json() : toJson(info[0], "engine"), "engine");
  const c10::Device device = parseDevice(options.string("device", "cpu"));
  const int64_t threads = options.integer("threads", defaultThreads());
  const bool deterministic = options.boolean("deterministic", false);
  options.finish();
  if (threads < 1 || threads > kMaxThreads) {
    fail(ErrorCode::ConfigInvalid,
         "expected 1 to 1024 for `engine.threads` but received " + std::to_string(threads));
  }
  return Channel::open(info.Env(), device, static_cast<int>(threads), deterministic);
}

}  // namespace

Napi::Function EngineWrap::define(Napi::Env env) {
  return DefineClass(
      env, "Engine",
      {InstanceAccessor<&EngineWrap::device>("device"), InstanceAccessor<&EngineWrap::threads>("threads"),
       InstanceAccessor<&EngineWrap::deterministic>("deterministic"),
       InstanceAccessor<&EngineWrap::closed>("closed"), InstanceAccessor<&EngineWrap::busyMs>("busyMs"),
       InstanceMethod<&EngineWrap::loadModel>("loadModel"),
       InstanceMethod<&EngineWrap::createModel>("createModel"),
       InstanceMethod<&EngineWrap::createEditor>("createEditor"),
       InstanceMethod<&EngineWrap::createFineTuner>("createFineTuner"),
       InstanceMethod<&EngineWrap::matmulBackend>("matmulBackend"),
       InstanceMethod<&EngineWrap::memoryStats>("memoryStats"), InstanceMethod<&EngineWrap::close>("close")});
}

EngineWrap::EngineWrap(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<EngineWrap>(info), channel_(guarded(info.Env(), [&] { return openChannel(info); })) {}

EngineWrap::~EngineWrap() {
  if (channel_) channel_->engineObjectCollected();
}

Napi::Value EngineWrap::device(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), deviceName(channel_->engine().device()));
}

Napi::Value EngineWrap::threads(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), channel_->engine().threads());
}

Napi::Value EngineWrap::deterministic(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), channel_->engine().deterministic());
}

Napi::Value EngineWrap::closed(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), channel_->closed());
}

Napi::Value EngineWrap::busyMs(const Napi::CallbackInfo& info) {
  const std::chrono::duration<double, std::milli> busy = channel_->engine().busy();
  return Napi::Number::New(info.Env(), busy.count());
}

Napi::Value EngineWrap::loadModel(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const std::string directory = toText(info[0], "directory");
    LoadOptions how;
    const CallOptions options = readCallOptions(info[1], [&](Options& own) {
      how.addPadToken = own.boolean("addPadToken", false);
      how.dtype = readDtype(own);
    });
    return start(
        info.Env(), *channel_, options,
        [directory, how, device = channel_->engine().device()](JobContext& context) {
          auto phase = context.phase("load");
          return ModelWrap::describeContent(seprog::loadModel(directory, device, how));
        },
        toModelHandle(channel_));
  });
}

Napi::Value EngineWrap::createModel(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const Json config = toJson(info[0], "config");
    int64_t seed = 0;
    BaseDtype dtype = BaseDtype::Fp32;
    const CallOptions options = readCallOptions(info[1], [&](Options& own) {
      seed = own.integer("seed");
      dtype = readDtype(own);
    });
    return start(
        info.Env(), *channel_, options,
        [config, seed, dtype, device = channel_->engine().device()](JobContext&) {
          return ModelWrap::describeContent(
              seprog::createModel(config, static_cast<uint64_t>(seed), device, dtype));
        },
        toModelHandle(channel_));
  });
}

Napi::Value EngineWrap::createEditor(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const Json spec = toJson(info[0], "editor");
    const auto base = ModelWrap::argument(info[1], *channel_, "base").live();
    return start(
        info.Env(), *channel_, readCallOptions(info[2]),
        [spec, base](JobContext&) {
          return makeCounted(base->model->device, [&] { return makeEditor(spec, base->model); });
        },
        [channel = channel_](Napi::Env env, Made<Editor>& made) {
          return EditorWrap::make(env, channel, std::move(made.content), made.bytes);
        });
  });
}

Napi::Value EngineWrap::createFineTuner(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    const Json spec = toJson(info[0], "fineTuner");
    const auto begin = ModelWrap::argument(info[1], *channel_, "start").live();
    return start(
        info.Env(), *channel_, readCallOptions(info[2]),
        [spec, begin](JobContext&) {
          return makeCounted(begin->model->device, [&] { return makeFineTuner(spec, *begin->model); });
        },
        [channel = channel_](Napi::Env env, Made<FineTuner>& made) {
          return FineTunerWrap::make(env, channel, std::move(made.content), made.bytes);
        });
  });
}

Napi::Value EngineWrap::matmulBackend(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    return start(
        info.Env(), *channel_, readCallOptions(info[0]), [](JobContext&) { return chooseMatmulBackend(); },
        [](Napi::Env env, const MatmulBackend& backend) {
          auto object = Napi::Object::New(env);
          object.Set("name", backend.name);
          object.Set("reason", backend.reason);
          return object;
        });
  });
}

Napi::Value EngineWrap::memoryStats(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] {
    bool resetPeak = false;
    const CallOptions options =
        readCallOptions(info[0], [&](Options& own) { resetPeak = own.boolean("resetPeak", false); });
    return start(
        info.Env(), *channel_, options,
        [channel = channel_.get(), resetPeak](JobContext&) {
          PeakWindow& peaks = channel->memoryPeaks();
          const MemoryStats stats{peaks.read(), processPeakBytes()};
          if (resetPeak) {
            peaks.restart();
            resetProcessPeak();
          }
          return stats;
        },
        &fromMemoryStats);
  });
}

Napi::Value EngineWrap::close(const Napi::CallbackInfo& info) {
  return promised(info.Env(), [&] { return channel_->close(); });
}

}  // namespace seprog::binding
