// Puts the chosen libtorch into the process before the engine's addon is loaded. Raw Node-API and libdl only:
// this file must itself load where no libtorch is.
#include <dlfcn.h>
#include <node_api.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

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

bool readPaths(napi_env env, napi_callback_info info, std::vector<std::string>* paths) {
  napi_value list;
  uint32_t count = 0;
  if (!readOnlyArgument(env, info, &list) || napi_get_array_length(env, list, &count) != napi_ok) {
    throwCoded(env, "INTERNAL", "expected a string array for `paths`");
    return false;
  }
  for (uint32_t i = 0; i < count; ++i) {
    napi_value element;
    std::string path;
    if (napi_get_element(env, list, i, &element) != napi_ok || !readString(env, element, &path)) {
      throwCoded(env, "INTERNAL", "expected a string for `paths[" + std::to_string(i) + "]`");
      return false;
    }
    paths->push_back(std::move(path));
  }
  return true;
}

/// What libraries read when they are loaded. The user's own values stand.
void setLibraryDefaults() {
  // libgomp's default, spinning, makes every parallel region 10 to 20 times slower as soon as another process wants a
  // core.
  setenv("OMP_WAIT_POLICY", "passive", 0);
  // oneDNN, and libtorch in front of it, each keep what was prepared for the last 1,024 shapes of a product, some 0.2 MB a
  // shape. Rows that leave a batch make new shapes all the time: a process that answers for long grows by 200 MB.
  setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256", 0);
  setenv("LRU_CACHE_CAPACITY", "256", 0);
}

bool openLibrary(const std::string& path) {
  // NODELETE: a worker thread that ends must not unload libtorch under the others.
  return dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE) != nullptr;
}

/// preload(paths: string[]): opens each library, in order, for the whole process and for good.
/// Throws NATIVE_NOT_FOUND with the loader's own words for the first that does not open.
napi_value preload(napi_env env, napi_callback_info info) {
  std::vector<std::string> paths;
  if (!readPaths(env, info, &paths)) return nullptr;
  setLibraryDefaults();
  for (const std::string& path : paths) {
    if (openLibrary(path)) continue;
    const char* reason = dlerror();
    return throwCoded(env, "NATIVE_NOT_FOUND",
                      "expected to load " + path + " but received: " + (reason ? reason : "no reason"));
  }
  return nullptr;
}

struct Opening {
  napi_async_work work = nullptr;
  std::vector<std::string> paths;
};

/// startPreload(paths: string[]): begins to open them beside the JavaScript thread. What does not open is not told:
/// `preload` of the same paths waits for what is on its way and tells.
napi_value startPreload(napi_env env, napi_callback_info info) {
  auto opening = std::make_unique<Opening>();
  if (!readPaths(env, info, &opening->paths)) return nullptr;
  setLibraryDefaults();
  napi_value name;
  napi_create_string_utf8(env, "seprog preload", NAPI_AUTO_LENGTH, &name);
  const auto open = [](napi_env, void* data) {
    for (const std::string& path : static_cast<Opening*>(data)->paths) {
      if (!openLibrary(path)) return;
    }
  };
  const auto finish = [](napi_env finished, napi_status, void* data) {
    const std::unique_ptr<Opening> done(static_cast<Opening*>(data));
    napi_delete_async_work(finished, done->work);
  };
  if (napi_create_async_work(env, nullptr, name, open, finish, opening.get(), &opening->work) == napi_ok &&
      napi_queue_async_work(env, opening->work) == napi_ok) {
    opening.release();
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
  napi_create_function(env, "startPreload", NAPI_AUTO_LENGTH, startPreload, nullptr, &function);
  napi_set_named_property(env, exports, "startPreload", function);
  napi_create_function(env, "hasLibrary", NAPI_AUTO_LENGTH, hasLibrary, nullptr, &function);
  napi_set_named_property(env, exports, "hasLibrary", function);
  return exports;
}

}  // namespace

NAPI_MODULE(seprog_preload, initialise)
