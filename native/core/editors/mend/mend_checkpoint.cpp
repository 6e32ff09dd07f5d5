#include "mend_checkpoint.h"

#include <ATen/ops/tensor.h>

#include <optional>
#include <utility>

#include "../../error.h"
#include "../../io/atomic_file.h"
#include "../../io/safetensors.h"

namespace seprog {
namespace {

void demandEntry(const std::string& path, const std::string& key, const Json& expected, const Json* found) {
  if (found != nullptr && found->dump() == expected.dump()) return;
  fail(ErrorCode::CheckpointInvalid, "expected " + expected.dump() + " for `" + key + "` in " + path +
                                         " but received " + (found == nullptr ? "nothing" : found->dump()));
}

Json readDescription(const std::string& path) {
  try {
    return Json::parse(readFile(path));
  } catch (const Error& error) {
    fail(ErrorCode::CheckpointInvalid, "expected an editor description for `" + path + "`: " + error.what());
  }
}

Json editedMatrices(const MendModules& modules) {
  Json::Array names;
  for (const EditedMatrix& matrix : modules.matrices()) names.emplace_back(matrix.name);
  return names;
}

std::string prefixOf(const MatrixGroup& group) { return "stats" + group.name + "."; }

/// Whether any edit has been seen: statistics that have not are no statistics, whatever their numbers.
bool initialised(const Statistics& statistics) {
  for (const FactorMoments& moments : statistics) {
    if (moments.u.count() > 0) return true;
  }
  return false;
}

/// Takes tensors out of a file, each once.
class Entries {
 public:
  Entries(std::string path, TensorTable table) : path_(std::move(path)), table_(std::move(table)) {}

  bool has(const std::string& name) const { return table_.count(name) != 0; }
  at::Tensor take(const std::string& name, at::IntArrayRef shape, at::ScalarType type,
                  const at::Device& device) {
    const auto found = table_.find(name);
    if (found == table_.end() || found->second.sizes() != shape || found->second.scalar_type() != type) {
      fail(ErrorCode::CheckpointInvalid,
           "expected another type or shape for `" + name + "` in " + path_ +
               " but received none that fits; was it trained with other sizes?");
    }
    const at::Tensor tensor = found->second.to(device, type, false, true).contiguous();
    table_.erase(found);
    return tensor;
  }
  void finish() const {
    if (table_.empty()) return;
    fail(ErrorCode::CheckpointInvalid, "expected no tensor `" + table_.begin()->first + "` in " + path_ +
                                           " but received one; was it trained with other options?");
  }

 private:
  std::string path_;
  TensorTable table_;
};

}  // namespace

TensorTable statisticsTable(const MendModules& modules, const Statistics& statistics) {
  TensorTable table;
  for (size_t g = 0; g < statistics.size(); ++g) {
    const FactorMoments& moments = statistics[g];
    if (moments.u.count() == 0) continue;
    const std::string prefix = prefixOf(modules.groups()[g]);
    table[prefix + "k"] = at::tensor({moments.u.count()}, at::kLong);
    table[prefix + "u_mean"] = moments.u.mean_W();
    table[prefix + "u_s"] = moments.u.squares_W();
    table[prefix + "delta_mean"] = moments.delta.mean_W();
    table[prefix + "delta_s"] = moments.delta.squares_W();
  }
  return table;
}

void writeMendCheckpoint(const std::string& directory, const MendModules& modules,
                         const Statistics& statistics, const std::string& baseChecksum, int64_t steps) {
  TensorTable tensors = modules.parameters();
  tensors.merge(statisticsTable(modules, statistics));
  writeSafetensors(directory + "/editor.safetensors", tensors, {{"format", "pt"}});
  const Json description = Json::Object{
      {"kind", "mend"},
      {"spec", resolvedSpec(modules.spec())},
      {"matrices", editedMatrices(modules)},
      {"statisticsInitialised", initialised(statistics)},
      {"parameters", Weights(modules.parameters()).parameterCount()},
      {"baseChecksum", baseChecksum},
      {"steps", steps},
  };
  writeFileAtomic(directory + "/editor.json", description.dump() + "\n");
}

MendCheckpoint readMendCheckpoint(const std::string& directory, const MendModules& modules, const Model& base,
                                  const std::string& baseChecksum) {
  const std::string jsonPath = directory + "/editor.json";
  const Json description = readDescription(jsonPath);
  demandEntry(jsonPath, "kind", "mend", description.find("kind"));
  demandEntry(jsonPath, "baseChecksum", baseChecksum, description.find("baseChecksum"));
  demandEntry(jsonPath, "matrices", editedMatrices(modules), description.find("matrices"));
  const Json own = resolvedSpec(modules.spec());
  const Json* kept = description.find("spec");
  for (const std::string& key : meaningOfMend()) {
    demandEntry(jsonPath, "spec." + key, *own.find(key), kept == nullptr ? nullptr : kept->find(key));
  }

  const std::string path = directory + "/editor.safetensors";
  Entries entries(path, readSafetensors(path).tensors);
  MendCheckpoint checkpoint;
  for (const auto& [name, present] : modules.parameters()) {
    checkpoint.parameters.emplace(name, entries.take(name, present.sizes(), at::kFloat, base.device));
  }
  for (const MatrixGroup& group : modules.groups()) {
    FactorMoments& moments = checkpoint.statistics.emplace_back();
    const std::string prefix = prefixOf(group);
    if (!entries.has(prefix + "k")) continue;
    const auto count = entries.take(prefix + "k", {1}, at::kLong, at::kCPU).item<int64_t>();
    const auto read = [&](const std::string& factor, int64_t width) {
      const at::Tensor mean = entries.take(prefix + factor + "_mean", {width}, at::kDouble, base.device);
      return Moments(count, mean, entries.take(prefix + factor + "_s", {width}, at::kDouble, base.device));
    };
    moments.u = read("u", group.inputs);
    moments.delta = read("delta", group.outputs);
  }
  entries.finish();
  demandEntry(jsonPath, "statisticsInitialised", initialised(checkpoint.statistics),
              description.find("statisticsInitialised"));
  return checkpoint;
}

}  // namespace seprog
