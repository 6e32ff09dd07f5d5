#include "matmul_memory.h"

#include <ATen/Version.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "../cache_folder.h"
#include "../error.h"
#include "../fnv.h"
#include "../json.h"

namespace seprog {
namespace {

// Raised when a change of the probe makes earlier choices mean something else.
constexpr int kVersion = 2;
constexpr std::chrono::hours kKept{7 * 24};

/// What /proc/cpuinfo says of the first core, without what changes from moment to moment.
std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  std::string text;
  for (std::string line; std::getline(file, line) && !line.empty();) {
    if (line.find("MHz") == std::string::npos) text += line + "\n";
  }
  return text;
}

bool isOld(const std::string& file) {
  const auto written = std::filesystem::last_write_time(file);
  const auto age = std::filesystem::file_time_type::clock::now() - written;
  return age < std::chrono::hours{0} || age > kKept;
}

std::string read(const std::string& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

}  // namespace

std::string matmulFile(int threads) {
  const std::string folder = cacheFolder();
  if (folder.empty()) return "";
  const std::string text = processor() + at::show_config();
  Fnv hash;
  hash.bytes(text.data(), text.size());
  return folder + "/matmul/" + hex(hash.value()) + "-" + std::to_string(threads) + "t-v" +
         std::to_string(kVersion) + ".json";
}

std::optional<MatmulBackend> recallMatmul(const std::string& file) {
  std::error_code ignored;
  if (file.empty() || !std::filesystem::exists(file, ignored)) return std::nullopt;
  try {
    if (isOld(file)) return std::nullopt;
    const Json content = Json::parse(read(file));
    const auto number = [&content](const char* key) {
      const Json* value = content.find(key);
      if (value == nullptr || !value->isNumber()) fail(ErrorCode::DataInvalid, key);
      return value->number();
    };
    const auto text = [&content](const char* key) {
      const Json* value = content.find(key);
      if (value == nullptr || !value->isString()) fail(ErrorCode::DataInvalid, key);
      return value->string();
    };
    MatmulBackend backend;
    backend.name = text("name");
    backend.reason = text("reason");
    backend.byProbe = backend.name != "default";
    backend.defaultGflops = number("defaultGflops");
    backend.onednnGflops = number("onednnGflops");
    backend.defaultError = number("defaultError");
    backend.onednnError = number("onednnError");
    return backend;
  } catch (const std::exception&) {
    // An unreadable file is as good as none.
    return std::nullopt;
  }
}

void rememberMatmul(const std::string& file, const MatmulBackend& backend) {
  if (file.empty()) return;
  const Json content(Json::Object{{"name", backend.name},
                                  {"reason", backend.reason},
                                  {"defaultGflops", backend.defaultGflops},
                                  {"onednnGflops", backend.onednnGflops},
                                  {"defaultError", backend.defaultError},
                                  {"onednnError", backend.onednnError}});
  const std::string temporary = file + "." + std::to_string(::getpid()) + ".tmp";
  std::error_code failed;
  std::filesystem::create_directories(std::filesystem::path(file).parent_path(), failed);
  std::ofstream(temporary) << content.dump();
  // Where nothing can be written the next process probes again.
  std::filesystem::rename(temporary, file, failed);
}

}  // namespace seprog
