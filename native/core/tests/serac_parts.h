// What the tests of SERAC share: folders of tiny models, batches in three vocabularies.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include "core/editors/serac/routed_scorer.h"
#include "core/editors/serac/serac.h"
#include "core/editors/serac/serac_losses.h"
#include "tiny.h"

namespace seprog::tiny {

inline JobContext quiet;

/// A folder that holds a model of this config.
class ModelFolder {
 public:
  explicit ModelFolder(const Json& config, uint64_t seed = 1) {
    saveModel(createModel(config, seed, at::kCPU), folder_.path(), "fp32");
  }
  const std::string& path() const { return folder_.path(); }

 private:
  Folder folder_;
};

/// A base with folders for both models of an editor beside it.
struct SeracWorld {
  explicit SeracWorld(const Json& family = config(), const Json& classifierConfig = distilbertConfig())
      : base(std::make_shared<const Model>(createModel(family, 1, at::kCPU))),
        classifier(classifierConfig, 5),
        counterfactual(family, 6) {}

  Json spec(const std::string& more = "") const {
    return Json::parse(R"({"kind": "serac", "classifier": {"source": "directory", "path": ")" +
                       classifier.path() + R"("}, "counterfactual": {"source": "directory", "path": ")" +
                       counterfactual.path() + "\"}" + more + "}");
  }
  std::shared_ptr<Editor> editor(const std::string& more = "") const { return makeSerac(spec(more), base); }
  SeracModels models(const std::string& more = "") const {
    return startSerac(readSeracSpec(spec(more)), *base);
  }

  std::shared_ptr<const Model> base;
  ModelFolder classifier, counterfactual;
};

/// Episodes whose rows all models read alike: the tiny families share their ids. With `views` the inputs have views of
/// their own, of other ids than the base's rows.
inline EpisodeBatch seracEpisodes(uint64_t seed, int64_t count, int64_t edits, bool views = true) {
  Random random(seed);
  EpisodeBatch batch = episodes(seed, count, edits);
  const int64_t rowCount = count * edits;
  batch.editPrefix = rows(random, rowCount, 2, 4);
  if (!views) return batch;
  batch.inScopeViews = {rows(random, rowCount, 2, 6), rows(random, rowCount, 2, 6)};
  batch.outScopeViews = {rows(random, rowCount, 2, 6), rows(random, rowCount, 2, 6)};
  return batch;
}

inline EditRequests seracRequests(const EpisodeBatch& batch) {
  return {batch.edits, batch.editText, std::vector<std::string>(batch.editText.rows(), "edit"),
          batch.editPrefix};
}

/// `threshold` between the middle two of the rows' similarities: half of them are in scope.
inline std::string halfInScope(const std::vector<float>& logits) {
  std::vector<float> sorted = logits;
  std::sort(sorted.begin(), sorted.end());
  const double middle = (sorted[sorted.size() / 2 - 1] + sorted[sorted.size() / 2]) / 2.0;
  return R"(, "threshold": )" + Json(1.0 / (1.0 + std::exp(-middle))).dump();
}

}  // namespace seprog::tiny
