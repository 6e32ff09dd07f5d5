// Puts the chosen libtorch into the process before the engine's addon is loaded. Raw Node-API and libdl only:
// this file must itself load where no libtorch is.
#include <dlfcn.h>
#include <node_api.h>

#include <cstdlib>
#include <string>

namespace {

napi_value throwCoded(napi_env env, const char* code, const std::string& message) {
  napi_throw_error(env, code, message.c_str());
  return nullptr;
}

bool readString(napi_env env, napi_value value, std::string* out) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) return false;
  out->resize(length + 1);
  if (napi_get_value_string_utf8(env, value, out->data(), length + 1, &length) != napi_ok) return false;
  out->resize(length);
  return true;
}

bool readOnlyArgument(napi_env env, napi_callback_info info, napi_value* argument) {
  size_t count = 1;
  return napi_get_cb_info(env, info, &count, argument, nullptr, nullptr) == napi_ok && count == 1;
}

/// preload(paths: string[]): opens each library, in order, for the whole process and for good.
/// Throws NATIVE_NOT_FOUND with the loader's own words for the first that does not open.
napi_value preload(napi_env env, napi_callback_info info) {
  napi_value paths;
  uint32_t count = 0;
  if (!readOnlyArgument(env, info, &paths) || napi_get_array_length(env, paths, &count) != napi_ok) {
    return throwCoded(env, "INTERNAL", "expected a string array for `paths`");
  }
  // libgomp reads this when it is loaded. Its default, spinning, makes every parallel region 10 to 20 times
  // slower as soon as another process wants a core. The user's own value stands.
  setenv("OMP_WAIT_POLICY", "passive", 0);
  for (uint32_t i = 0; i < count; ++i) {
    napi_value element;
    std::string path;
    if (napi_get_element(env, paths, i, &element) != napi_ok || !readString(env, element, &path)) {
      return throwCoded(env, "INTERNAL", "expected a string for `paths[" + std::to_string(i) + "]`");
    }
    // NODELETE: a worker thread that ends must not unload libtorch under the others.
    if (dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE) == nullptr) {
      const char* reason = dlerror();
      return throwCoded(env, "NATIVE_NOT_FOUND",
                        "expected to load " + path + " but received: " + (reason ? reason : "no reason"));
    }
  }
  return nullptr;
}

/// hasLibrary(name: string): whether the dynamic loader can open the library. It stays open: loading a driver
/// twice costs more than keeping it.
napi_value hasLibrary(napi_env env, napi_callback_info info) {
  napi_value argument;
  std::string name;
  if (!readOnlyArgument(env, info, &argument) || !readString(env, argument, &name)) {
    return throwCoded(env, "INTERNAL", "expected a string for `name`");
  }
  napi_value found;
  napi_get_boolean(env, dlopen(name.c_str(), RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE) != nullptr, &found);
  return found;
}

napi_value initialise(napi_env env, napi_value exports) {
  napi_value function;
  napi_create_function(env, "preload", NAPI_AUTO_LENGTH, preload, nullptr, &function);
  napi_set_named_property(env, exports, "preload", function);
  napi_create_function(env, "hasLibrary", NAPI_AUTO_LENGTH, hasLibrary, nullptr, &function);
  napi_set_named_property(env, exports, "hasLibrary", function);
  return exports;
}

}  // namespace

NAPI_MODULE(seprog_preload, initialise)
