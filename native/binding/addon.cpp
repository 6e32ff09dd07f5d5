// The exports. One per member of NativeAddon in src/native/addon.ts.
#include <napi.h>

#include "addon_state.h"
#include "cancel_token_wrap.h"
#include "convert.h"
#include "core/engine/build_info.h"
#include "core/engine/devices.h"
#include "core/instrument/counting_allocator.h"
#include "core/instrument/gpu_energy.h"
#include "core/ops/kernels.h"
#include "edit_memory_wrap.h"
#include "edited_model_wrap.h"
#include "editor_wrap.h"
#include "engine_wrap.h"
#include "fine_tuner_wrap.h"
#include "model_wrap.h"
#include "translate_error.h"

namespace seprog::binding {
namespace {

Napi::Value describeBuild(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const BuildInfo build = buildInfo();
    auto object = Napi::Object::New(info.Env());
    object.Set("version", SEPROG_VERSION);
    object.Set("libtorchCompiled", build.libtorchCompiled);
    object.Set("libtorchLoaded", build.libtorchLoaded);
    object.Set("compiler", build.compiler);
    object.Set("blas", build.blas);
    object.Set("cpuCapability", build.cpuCapability);
    return object;
  });
}

Napi::Value describeDevices(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    auto array = Napi::Array::New(info.Env());
    for (const DeviceInfo& device : listDevices()) {
      auto object = Napi::Object::New(info.Env());
      object.Set("name", device.name);
      object.Set("description", device.description);
      object.Set("computeCapability", device.computeCapability.empty()
                                          ? info.Env().Null()
                                          : Napi::String::New(info.Env(), device.computeCapability));
      object.Set("totalBytes", static_cast<double>(device.totalBytes));
      object.Set("problem",
                 device.problem.empty() ? info.Env().Null() : Napi::String::New(info.Env(), device.problem));
      array.Set(array.Length(), object);
    }
    return array;
  });
}

/// What the GPU's board has taken since the driver was loaded; null for the CPU and where it is not counted.
Napi::Value deviceEnergy(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const c10::Device device = parseDevice(toText(info[0], "device"));
    const auto energy = device.is_cuda() ? gpuEnergyMillijoules(device.index()) : std::optional<int64_t>();
    if (!energy) return info.Env().Null();
    return Napi::Number::New(info.Env(), static_cast<double>(*energy));
  });
}

Napi::Value describeKernels(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    auto object = Napi::Object::New(info.Env());
    object.Set("policy", kernelsName(kernels()));
    const bool hasGpu = listDevices().size() > 1;
    object.Set("gpuCompiler", hasGpu ? Napi::String::New(info.Env(), gpuCompiler()) : info.Env().Null());
    return object;
  });
}

Napi::Value runSelfTest(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return Napi::Boolean::New(info.Env(), selfTest()); });
}

void shutdown(const Napi::CallbackInfo& info) { AddonState::of(info.Env()).shutdown(); }

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  installCountingAllocator();
  env.SetInstanceData(new AddonState());
  AddonState& state = AddonState::of(env);
  state.setConstructor(ClassId::Model, ModelWrap::define(env));
  state.setConstructor(ClassId::EditedModel, EditedModelWrap::define(env));
  state.setConstructor(ClassId::Editor, EditorWrap::define(env));
  state.setConstructor(ClassId::FineTuner, FineTunerWrap::define(env));
  state.setConstructor(ClassId::EditMemory, EditMemoryWrap::define(env));
  exports.Set("Engine", EngineWrap::define(env));
  exports.Set("CancelToken", CancelTokenWrap::define(env));
  exports.Set("buildInfo", Napi::Function::New<describeBuild>(env, "buildInfo"));
  exports.Set("listDevices", Napi::Function::New<describeDevices>(env, "listDevices"));
  exports.Set("deviceEnergyMillijoules", Napi::Function::New<deviceEnergy>(env, "deviceEnergyMillijoules"));
  exports.Set("kernels", Napi::Function::New<describeKernels>(env, "kernels"));
  exports.Set("selfTest", Napi::Function::New<runSelfTest>(env, "selfTest"));
  exports.Set("shutdown", Napi::Function::New<shutdown>(env, "shutdown"));
  return exports;
}

}  // namespace
}  // namespace seprog::binding

// The macro wants an unqualified name.
using seprog::binding::initialise;
NODE_API_MODULE(seprog_native, initialise)
