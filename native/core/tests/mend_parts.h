// What the tests of MEND share: modules and statistics without an editor around them, episodes of every family.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "core/editors/mend/mend.h"
#include "core/editors/mend/mend_checkpoint.h"
#include "core/editors/mend/mend_losses.h"
#include "tiny.h"

namespace seprog::tiny {

/// The spec of a MEND editor of sizes to match; `more` are members in place of its own, each after a comma.
inline Json mendSpec(const std::string& more = "") {
  const Json usual = Json::parse(R"({"kind": "mend", "seed": 3, "rank": 12, "alphaInit": 0.01})");
  return more.empty() ? usual : with(usual, "{" + more.substr(1) + "}");
}

inline EpisodeBatch mendEpisodes(const Json& config, uint64_t seed, int64_t episodes, int64_t edits) {
  EpisodeBatch batch = tiny::episodes(seed, episodes, edits);
  if (config.find("model_type")->string() != "bert") return batch;
  Random random(seed, "classes");
  for (PairRows* rows : {&batch.edits, &batch.inScope, &batch.outScope}) {
    rows->target = classes(random, rows->rows(), 2);
  }
  return batch;
}

/// Random numbers in every parameter, so that nothing is 0 or 1 by its start.
inline TensorTable stirred(const TensorTable& parameters, double deviation) {
  TensorTable table;
  for (const auto& [name, tensor] : parameters) {
    const bool isAlpha = name == "alpha";
    table.emplace(name, tensor + Random(7, name).normalTensor(tensor.sizes(), 0, isAlpha ? 0.02 : deviation));
  }
  return table;
}

struct MendParts {
  explicit MendParts(const Json& config, const std::string& more = "", bool stir = true)
      : config(config),
        base(std::make_shared<const Model>(createModel(config, 1, at::kCPU))),
        modules(readMendSpec(mendSpec(more)), *base),
        statistics(modules.groups().size()) {
    if (stir) modules = modules.with(stirred(modules.parameters(), 0.05));
  }

  /// The same in double.
  MendParts wide() const {
    MendParts other = *this;
    const auto widened = [](const TensorTable& table) {
      TensorTable wider;
      for (const auto& [name, tensor] : table) wider.emplace(name, tensor.to(at::kDouble));
      return wider;
    };
    other.base = std::make_shared<const Model>(
        Model{base->architecture, Weights(widened(base->weights.flatten())), base->device});
    other.modules = modules.with(widened(modules.parameters()));
    return other;
  }

  struct Step {
    Figures figures;
    Gradients gradients;
    Statistics statistics;
  };
  Step step(const EpisodeRows& episode) const {
    JobContext quiet;
    Step taken{{}, zeroGradients(modules.parameters()), statistics};
    taken.figures = trainingLosses(*base, modules, episode, 1, taken.statistics, taken.gradients, quiet);
    return taken;
  }
  EpisodeRows episode(uint64_t seed, int64_t edits) const {
    return episodesOf(mendEpisodes(config, seed, 1, edits)).front();
  }

  Json config;
  std::shared_ptr<const Model> base;
  MendModules modules;
  Statistics statistics;
};

inline EditRequests mendRequests(const EpisodeBatch& batch) {
  EditRequests requests;
  requests.edits = batch.edits;
  requests.editText = batch.editText;
  requests.labels.assign(batch.edits.rows(), "edit");
  return requests;
}

}  // namespace seprog::tiny
