// A Hugging Face model folder: read whole and checked before anything is used, written file by file
// atomically.
#include <ATen/ops/aminmax.h>
#include <sys/stat.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <set>
#include <sstream>

#include "../error.h"
#include "../io/atomic_file.h"
#include "../io/safetensors.h"
#include "model.h"

namespace seprog {
namespace {

bool exists(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0;
}

std::string shapeText(at::IntArrayRef shape) {
  std::ostringstream out;
  out << shape;
  return out.str();
}

Json readJson(const std::string& path) {
  const std::string text = readFile(path);
  try {
    return Json::parse(text);
  } catch (const Error& error) {
    fail(ErrorCode::CheckpointInvalid, std::string(error.what()) + " in " + path);
  }
}

/// Files of a folder in the order of its index, or the one file.
std::vector<std::string> weightFiles(const std::string& directory) {
  const std::string single = directory + "/model.safetensors";
  const std::string indexPath = single + ".index.json";
  if (exists(single)) return {single};
  if (!exists(indexPath)) {
    fail(ErrorCode::CheckpointInvalid, "expected model.safetensors or model.safetensors.index.json for `" +
                                           directory + "` but received neither");
  }
  const Json index = readJson(indexPath);
  const Json* map = index.find("weight_map");
  if (map == nullptr || !map->isObject() || map->object().empty()) {
    fail(ErrorCode::CheckpointInvalid,
         "expected an object for `" + indexPath + ":weight_map` but received none");
  }
  std::set<std::string> files;
  for (const auto& [name, file] : map->object()) {
    if (!file.isString() || file.string().empty() || file.string().find('/') != std::string::npos) {
      fail(ErrorCode::CheckpointInvalid, "expected a file name for `" + indexPath + ":weight_map." + name +
                                             "` but received " + file.dump());
    }
    files.insert(directory + "/" + file.string());
  }
  return {files.begin(), files.end()};
}

struct Loaded {
  at::Tensor tensor;
  std::string file;
};

/// fp32 on the CPU; a NaN or an infinity is refused.
at::Tensor widened(const at::Tensor& tensor, const std::string& file, const std::string& name) {
  if (!at::isFloatingType(tensor.scalar_type())) {
    fail(ErrorCode::CheckpointInvalid, "expected a floating-point tensor for `" + name + "` in " + file +
                                           " but received " + c10::toString(tensor.scalar_type()));
  }
  const at::Tensor wide = tensor.to(at::kFloat);
  if (wide.numel() > 0) {
    const auto [low, high] = at::aminmax(wide);  // a NaN wins both
    if (!std::isfinite(low.item<float>()) || !std::isfinite(high.item<float>())) {
      fail(ErrorCode::NonFinite,
           "expected finite numbers for `" + name + "` in " + file +
               " but received NaN or infinity; the checkpoint is damaged or overflowed");
    }
  }
  return wide;
}

void checkShapes(const Architecture& architecture, const TensorTable& table, const std::string& from) {
  for (const auto& [name, shape] : architecture.expectedWeights()) {
    const auto found = table.find(name);
    if (found == table.end()) {
      const bool head =
          name.find("classifier") != std::string::npos || name.find("pooler") != std::string::npos;
      fail(ErrorCode::WeightMissing,
           "expected a tensor for `" + name + "` in " + from + " but received none" +
               (head ? "; this is an encoder without a classification head: name a checkpoint that was "
                       "fine-tuned to the task, or use this one as edit encoder"
                     : ""));
    }
    if (found->second.sizes() != at::IntArrayRef(shape)) {
      fail(ErrorCode::ShapeMismatch, "expected shape " + shapeText(shape) + " for `" + name + "` in " + from +
                                         " but received " + shapeText(found->second.sizes()) +
                                         "; config.json and weights do not belong together");
    }
  }
}

}  // namespace

Json readConfig(const std::string& directory) { return readJson(directory + "/config.json"); }

Model loadModel(const std::string& directory, const at::Device& device, const LoadOptions& options) {
  return loadModel(directory, readConfig(directory), device, options);
}

Model loadModel(const std::string& directory, const Json& config, const at::Device& device,
                const LoadOptions& options) {
  std::shared_ptr<const Architecture> architecture = makeArchitecture(config);
  TensorTable table;
  std::map<std::string, std::string> fileOf;
  for (const std::string& path : weightFiles(directory)) {
    for (auto& [name, tensor] : readSafetensors(path).tensors) {
      if (!table.emplace(name, tensor).second) {
        fail(ErrorCode::CheckpointInvalid,
             "expected one tensor for `" + name + "` but received two, in " + fileOf[name] + " and " + path);
      }
      fileOf[name] = path;
    }
  }
  architecture->normaliseNames(table);
  checkShapes(*architecture, table, directory);
  for (auto& [name, tensor] : table) tensor = widened(tensor, fileOf[name], name);
  if (options.addPadToken) architecture = architecture->withPadToken(table);
  for (auto& [name, tensor] : table) tensor = tensor.to(device);
  return Model{architecture, Weights(std::move(table)), device};
}

Model createModel(const Json& config, uint64_t seed, const at::Device& device) {
  const std::shared_ptr<const Architecture> architecture = makeArchitecture(config);
  TensorTable table = architecture->initialise(seed);
  for (auto& [name, tensor] : table) tensor = tensor.to(device);
  return Model{architecture, Weights(std::move(table)), device};
}

void saveModel(const Model& model, const std::string& directory, const std::string& dtype) {
  at::ScalarType type = at::kFloat;
  if (dtype == "fp16") {
    type = at::kHalf;
  } else if (dtype == "bf16") {
    type = at::kBFloat16;
  } else if (dtype != "fp32") {
    fail(ErrorCode::ConfigInvalid,
         "expected one of \"fp32\", \"fp16\", \"bf16\" for `dtype` but received \"" + dtype + "\"");
  }
  if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
    fail(ErrorCode::CheckpointInvalid,
         "expected to create `" + directory + "` but received: " + std::strerror(errno));
  }
  TensorTable table = model.weights.flatten();
  for (auto& [name, tensor] : table) {
    tensor = tensor.detach().to(at::kCPU, type);
    if (type == at::kHalf && !std::isfinite(tensor.abs().max().item<float>())) {
      fail(ErrorCode::NonFinite, "expected values of at most 65504 for `" + name +
                                     "` in fp16 but received larger; use bf16 or fp32");
    }
  }
  writeSafetensors(directory + "/model.safetensors", table, {{"format", "pt"}});
  writeFileAtomic(directory + "/config.json", model.architecture->config().dump() + "\n");
}

}  // namespace seprog
