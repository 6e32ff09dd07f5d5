// A Hugging Face model folder: read whole and checked before anything is used, written file by file
// atomically.
#include <ATen/ops/aminmax.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include <sstream>
#include <string_view>
#include <unordered_map>

#include "../error.h"
#include "../instrument/memory_role.h"
#include "../io/atomic_file.h"
#include "../io/safetensors.h"
#include "../io/torch_file.h"
#include "../layers/packed_weight.h"
#include "../plan/planned_device.h"
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

TensorTable readSafetensorsTable(const std::string& path) { return readSafetensors(path).tensors; }

/// Ways to store weights in a folder: one file, or shards behind an index beside it.
struct WeightFormat {
  const char* file;
  TensorTable (*read)(const std::string& path);
};
constexpr WeightFormat kFormats[] = {{"model.safetensors", readSafetensorsTable},
                                     {"pytorch_model.bin", readTorchFile}};

std::string within(const std::string& name, const std::string& place) { return "`" + name + "` in " + place; }

[[noreturn]] void refuseShard(const std::string& indexPath, const std::string& name, const Json& file) {
  fail(ErrorCode::CheckpointInvalid,
       "expected a file name for `" + indexPath + ":weight_map." + name + "` but received " + file.dump());
}

[[noreturn]] void refuseSecond(const std::string& name, const std::string& path, const std::string& other) {
  fail(ErrorCode::CheckpointInvalid,
       "expected one tensor for `" + name + "` but received two, in " + path + " and " + other);
}

/// The shards an index names, sorted.
std::vector<std::string> shards(const std::string& directory, const std::string& indexPath) {
  const Json index = readJson(indexPath);
  const Json* map = index.find("weight_map");
  if (map == nullptr || !map->isObject() || map->object().empty()) {
    fail(ErrorCode::CheckpointInvalid,
         "expected an object for `" + indexPath + ":weight_map` but received none");
  }
  std::set<std::string> files;
  for (const auto& [name, file] : map->object()) {
    if (!file.isString() || file.string().empty() || file.string().find('/') != std::string::npos) {
      refuseShard(indexPath, name, file);
    }
    files.insert(directory + "/" + file.string());
  }
  return {files.begin(), files.end()};
}

/// Tensors of a folder under the names in its files, and where each was found, for messages.
struct Stored {
  TensorTable table;
  std::unordered_map<const c10::TensorImpl*, std::string> origins;
};

Stored readWeights(const std::string& directory) {
  std::string looked;
  for (const WeightFormat& format : kFormats) {
    const std::string single = directory + "/" + format.file;
    const std::string indexPath = single + ".index.json";
    std::vector<std::string> files;
    if (exists(single)) {
      files = {single};
    } else if (exists(indexPath)) {
      files = shards(directory, indexPath);
    } else {
      looked.append(looked.empty() ? "" : ", ").append(format.file).append(", ");
      looked.append(format.file).append(".index.json");
      continue;
    }
    Stored stored;
    std::map<std::string, std::string> fileOf;
    for (const std::string& path : files) {
      for (auto& [name, tensor] : format.read(path)) {
        const auto [first, fresh] = fileOf.emplace(name, path);
        if (!fresh) refuseSecond(name, first->second, path);
        stored.origins.emplace(tensor.unsafeGetTensorImpl(), within(name, path));
        stored.table.emplace(name, std::move(tensor));
      }
    }
    return stored;
  }
  fail(ErrorCode::CheckpointInvalid,
       "expected one of " + looked + " for `" + directory + "` but received none of them");
}

/// Where the tensors of the finished table come from: "`name` in file", under the names in the files.
std::map<std::string, std::string> originsOf(const TensorTable& table, const Stored& stored,
                                             const std::string& directory) {
  std::map<std::string, std::string> origins;
  for (const auto& [name, tensor] : table) {
    const auto found = stored.origins.find(tensor.unsafeGetTensorImpl());
    origins.emplace(name, found == stored.origins.end() ? within(name, directory) : found->second);
  }
  return origins;
}

/// fp32 on the CPU; a NaN or an infinity is refused.
at::Tensor widened(const at::Tensor& tensor, const std::string& origin) {
  if (!at::isFloatingType(tensor.scalar_type())) {
    fail(ErrorCode::CheckpointInvalid, "expected a floating-point tensor for " + origin + " but received " +
                                           c10::toString(tensor.scalar_type()));
  }
  at::Tensor wide = tensor.to(at::kFloat).contiguous();
  if (wide.numel() > 0) {
    const auto [low, high] = at::aminmax(wide);  // a NaN wins both
    if (!std::isfinite(low.item<float>()) || !std::isfinite(high.item<float>())) {
      fail(ErrorCode::NonFinite,
           "expected finite numbers for " + origin +
               " but received NaN or infinity; the checkpoint is damaged or overflowed");
    }
  }
  return wide;
}

[[noreturn]] void refuseMissing(const std::string& name, const std::string& directory) {
  const bool head = name.find("classifier") != std::string::npos || name.find("pooler") != std::string::npos;
  fail(ErrorCode::WeightMissing,
       "expected a tensor for " + within(name, directory) + " but received none" +
           (head ? "; this is an encoder without a classification head: name a checkpoint that was "
                   "fine-tuned to the task, or use this one as edit encoder"
                 : ""));
}

[[noreturn]] void refuseShape(at::IntArrayRef expected, const std::string& origin, at::IntArrayRef received) {
  fail(ErrorCode::ShapeMismatch, "expected shape " + shapeText(expected) + " for " + origin +
                                     " but received " + shapeText(received) +
                                     "; config.json and weights do not belong together");
}

void checkShapes(const Architecture& architecture, const TensorTable& table,
                 const std::map<std::string, std::string>& origins, const std::string& directory) {
  for (const auto& [name, shape] : architecture.expectedWeights()) {
    const auto found = table.find(name);
    if (found == table.end()) refuseMissing(name, directory);
    if (found->second.sizes() != at::IntArrayRef(shape)) {
      refuseShape(shape, origins.at(name), found->second.sizes());
    }
  }
}

/// Packed forms stand beside the matrices: of large models, whose products are large anyway, there are none.
constexpr int64_t kMostPackedBytes = int64_t{1} << 30;

void allowPackingOf(const TensorTable& table, const Architecture& architecture) {
  std::vector<at::Tensor> matrices;
  int64_t bytes = 0;
  for (const auto& [name, tensor] : table) {
    if (tensor.dim() != 2 || architecture.narrowing(name, BaseDtype::Int8) == Narrowing::None) continue;
    matrices.push_back(tensor);
    bytes += static_cast<int64_t>(tensor.nbytes());
  }
  if (bytes > kMostPackedBytes) return;
  for (const at::Tensor& matrix : matrices) allowPacking(matrix);
}

/// The model of these fp32 weights, its large matrices in `dtype`. Rounded weights go by the checksum of what they were
/// made from: what belongs to a base belongs to it in every type.
Model finished(std::shared_ptr<const Architecture> architecture, TensorTable table, const at::Device& device,
               BaseDtype dtype) {
  if (dtype == BaseDtype::Fp32) {
    for (auto& [name, tensor] : table) tensor = tensor.to(device);
    allowPackingOf(table, *architecture);
    return Model{std::move(architecture), Weights(std::move(table)), device};
  }
  const uint64_t checksum = Weights(table).checksum();
  for (auto& [name, tensor] : table) {
    const Narrowing how = tensor.dim() == 2 ? architecture->narrowing(name, dtype) : Narrowing::None;
    tensor = narrowed(tensor, dtype, how, name).to(device);
  }
  return Model{std::move(architecture), Weights(std::move(table), checksum), device, dtype};
}

/// The same model without its values: the folder's config.json is enough.
Model planModel(std::shared_ptr<const Architecture> architecture, const at::Device& device,
                const LoadOptions& options) {
  TensorTable table = architecture->initialise(0);
  for (auto& [name, tensor] : table) tensor = tensor.to(device);
  if (options.addPadToken) {
    if (auto padded = architecture->withPadToken(table)) architecture = std::move(padded);
  }
  return finished(std::move(architecture), std::move(table), device, options.dtype);
}

/// Fields that Hugging Face declares as floats, where transformers 5 refuses a whole number (dropout and its like may be
/// either). A Json forgets how a number was written.
constexpr std::string_view kFloats[] = {"initializer_factor", "initializer_range", "init_std",
                                        "layer_norm_epsilon", "layer_norm_eps",    "encoder_layerdrop",
                                        "decoder_layerdrop"};

/// `config` as transformers reads it.
std::string configText(const Json& config) {
  std::string out = "{";
  for (const auto& [key, value] : config.object()) {
    const std::string text = value.dump();
    const bool isFloat = std::find(std::begin(kFloats), std::end(kFloats), key) != std::end(kFloats);
    out.append(out.size() == 1 ? "" : ",").append(Json(key).dump()).append(":").append(text);
    if (isFloat && value.isNumber() && text.find_first_of(".e") == std::string::npos) out += ".0";
  }
  return out + "}\n";
}

}  // namespace

Json readConfig(const std::string& directory) { return readJson(directory + "/config.json"); }

Model loadModel(const std::string& directory, const at::Device& device, const LoadOptions& options) {
  return loadModel(directory, readConfig(directory), device, options);
}

Model loadModel(const std::string& directory, const Json& config, const at::Device& device,
                const LoadOptions& options) {
  demandDtype(options.dtype, device);
  const RoleScope role(RoleScope::orOuter(MemoryRole::Weights));
  std::shared_ptr<const Architecture> architecture = makeArchitecture(config);
  if (isPlanned(device)) return planModel(architecture, device, options);
  Stored stored = readWeights(directory);
  TensorTable table = stored.table;
  architecture->normaliseNames(table);
  const std::map<std::string, std::string> origins = originsOf(table, stored, directory);
  stored = {};
  checkShapes(*architecture, table, origins, directory);
  for (auto& [name, tensor] : table) tensor = widened(tensor, origins.at(name));
  if (options.addPadToken) {
    if (auto padded = architecture->withPadToken(table)) architecture = std::move(padded);
  }
  return finished(std::move(architecture), std::move(table), device, options.dtype);
}

Model createModel(const Json& config, uint64_t seed, const at::Device& device, BaseDtype dtype) {
  demandDtype(dtype, device);
  const RoleScope role(RoleScope::orOuter(MemoryRole::Weights));
  std::shared_ptr<const Architecture> architecture = makeArchitecture(config);
  TensorTable table = architecture->initialise(seed);
  return finished(std::move(architecture), std::move(table), device, dtype);
}

void saveModel(const Model& model, const std::string& directory, const std::string& dtype) {
  if (isPlanned(model.device)) {
    fail(ErrorCode::Unsupported, "expected a model with values for `" + directory +
                                     "` but received one of a planned device, which has none");
  }
  if (model.dtype == BaseDtype::Int8) {
    fail(ErrorCode::Unsupported, "expected a model with weights of a file for `" + directory +
                                     "` but received one of 8-bit weights; save the model it was made from");
  }
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
  writeFileAtomic(directory + "/config.json", configText(model.architecture->config()));
}

}  // namespace seprog
