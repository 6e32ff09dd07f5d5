#include "mend_checkpoint.h"

#include <ATen/ops/tensor.h>

#include <utility>

#include "../editor_checkpoint.h"

namespace seprog {
namespace {

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
  Json::Object members = {
      {"spec", resolvedSpec(modules.spec())},
      {"matrices", editedMatrices(modules)},
      {"statisticsInitialised", initialised(statistics)},
      {"parameters", Weights(modules.parameters()).parameterCount()},
  };
  writeEditorCheckpoint(directory, "mend", std::move(members), baseChecksum, steps, tensors);
}

MendCheckpoint readMendCheckpoint(const std::string& directory, const MendModules& modules, const Model& base,
                                  const std::string& baseChecksum) {
  const EditorDescription description(directory, "mend", baseChecksum);
  description.demand("matrices", editedMatrices(modules));
  const Json own = resolvedSpec(modules.spec());
  for (const std::string& key : meaningOfMend()) description.demandOption(key, *own.find(key));

  CheckpointTensors entries(directory);
  MendCheckpoint checkpoint;
  checkpoint.parameters = entries.takeAll(modules.parameters());
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
  description.demand("statisticsInitialised", initialised(checkpoint.statistics));
  return checkpoint;
}

}  // namespace seprog
