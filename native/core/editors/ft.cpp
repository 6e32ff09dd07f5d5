// Fine-tuning at edit time. The loop stands in train/inner_fit.cpp, what it minimises in ft_objective.cpp.
#include "ft.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <vector>

#include "../error.h"
#include "../options.h"
#include "../tensor/narrow.h"
#include "../train/inner_fit.h"
#include "ft_objective.h"
#include "overlay_scorer.h"
#include "untrained.h"

namespace seprog {
namespace {

struct FtSpec {
  FtWeights weights;
  InnerFitOptions fit;
  bool sequential = false;
  int64_t microBatch = 64;
};

void demand(bool holds, const char* what, const char* key, double received) {
  if (holds) return;
  fail(ErrorCode::ConfigInvalid,
       std::string("expected ") + what + " for `editor." + key + "` but received " + Json(received).dump());
}

/// A number of 0 or more, or above 0.
double numberFrom(Options& options, const char* key, double fallback, bool zeroAllowed) {
  const double value = options.number(key, fallback);
  demand(zeroAllowed ? value >= 0 : value > 0, zeroAllowed ? "a number of 0 or more" : "a number above 0",
         key, value);
  return value;
}

int64_t wholeFrom(Options& options, const char* key, int64_t fallback, int64_t least) {
  const int64_t value = options.integer(key, fallback);
  demand(value >= least, least == 0 ? "a whole number of 0 or more" : "a whole number of 1 or more", key,
         static_cast<double>(value));
  return value;
}

FtSpec readSpec(const Json& json, const std::string& family) {
  Options options(json, "editor");
  options.choice("kind", {"ft"});
  FtSpec spec;
  const std::string objective = options.choice("objective", {"edit", "kl", "total"}, "edit");
  spec.weights.objective = objective == "kl"      ? FtObjective::Kl
                           : objective == "total" ? FtObjective::Total
                                                  : FtObjective::Edit;
  spec.weights.editWeight = numberFrom(options, "editWeight", spec.weights.editWeight, true);
  spec.weights.lambda = options.number("lambda", spec.weights.lambda);
  demand(spec.weights.lambda >= 0 && spec.weights.lambda <= 1, "a number in [0, 1]", "lambda",
         spec.weights.lambda);
  spec.fit.learningRate = numberFrom(options, "editLearningRate", family == "t5" ? 1e-4 : 1e-6, false);
  spec.fit.maxSteps = wholeFrom(options, "maxSteps", spec.fit.maxSteps, 0);
  spec.fit.clipNorm = numberFrom(options, "clipNorm", spec.fit.clipNorm, false);
  spec.fit.rank = wholeFrom(options, "rank", spec.fit.rank, 0);
  spec.fit.rankDeviation = numberFrom(options, "rankDeviation", spec.fit.rankDeviation, false);
  spec.fit.seed = static_cast<uint64_t>(wholeFrom(options, "seed", 0, 0));
  if (options.has("timeLimitMs")) {
    spec.fit.timeLimit = std::chrono::milliseconds(wholeFrom(options, "timeLimitMs", 0, 0));
  }
  spec.sequential = options.boolean("sequential", spec.sequential);
  spec.microBatch = wholeFrom(options, "microBatch", spec.microBatch, 1);
  options.finish();
  return spec;
}

/// `microBatch` stays out: it changes neither the loss nor the steps.
Json resolved(const FtSpec& spec) {
  static const char* const objectives[] = {"edit", "kl", "total"};
  Json::Object kept = {
      {"kind", "ft"},
      {"objective", objectives[static_cast<size_t>(spec.weights.objective)]},
      {"editWeight", spec.weights.editWeight},
      {"lambda", spec.weights.lambda},
      {"editLearningRate", spec.fit.learningRate},
      {"maxSteps", spec.fit.maxSteps},
      {"clipNorm", spec.fit.clipNorm},
      {"rank", spec.fit.rank},
      {"sequential", spec.sequential},
  };
  if (spec.fit.rank > 0) {
    kept.emplace_back("rankDeviation", spec.fit.rankDeviation);
    kept.emplace_back("seed", static_cast<int64_t>(spec.fit.seed));
  }
  if (spec.fit.timeLimit) kept.emplace_back("timeLimitMs", static_cast<int64_t>(spec.fit.timeLimit->count()));
  return Json(std::move(kept));
}

/// All edits at once, or each for itself.
std::vector<PairRows> groupsOf(const PairRows& edits, bool sequential) {
  if (!sequential) return {edits};
  std::vector<PairRows> groups;
  for (int64_t row = 0; row < edits.rows(); ++row) {
    groups.push_back({slice(edits.source, row, 1), slice(edits.target, row, 1)});
  }
  return groups;
}

/// ‖R‖ of all matrices together and of each, R being what the fits added.
void appendResidualNorms(const TensorTable& start, const TensorTable& edited, Figures& figures) {
  at::NoGradGuard noGrad;
  TensorTable residuals;
  for (const auto& [name, W] : start) residuals.emplace(name, edited.at(name) - W);
  figures.emplace_back("residualNorm", globalNorm(residuals));
  for (const auto& [name, R] : residuals) {
    figures.emplace_back("residualNorm." + name, globalNorm({{name, R}}));
  }
}

class Ft : public UntrainedEditor {
 public:
  Ft(const FtSpec& spec, std::shared_ptr<const Model> base)
      : UntrainedEditor("ft", resolved(spec), std::move(base)), spec_(spec) {}

  std::shared_ptr<Scorer> edit(const EditRequests& requests, std::shared_ptr<Scorer> onto,
                               JobContext& context) override;

 private:
  struct Fit {
    TensorTable edited;
    Figures figures;
  };
  Fit fit(const TensorTable& start, const EditRequests& requests, JobContext& context) const;
  Model withWeights(const TensorTable& edited) const {
    return {base()->architecture, base()->weights.with(edited), base()->device};
  }

  FtSpec spec_;
};

Ft::Fit Ft::fit(const TensorTable& start, const EditRequests& requests, JobContext& context) const {
  const auto startedAt = std::chrono::steady_clock::now();
  const auto elapsed = [&] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 startedAt);
  };
  const std::vector<PairRows> groups = groupsOf(requests.edits, spec_.sequential);
  Fit result{start, {}};
  std::map<std::string, double> sums;
  double locality = 0;  // of the last step
  int64_t forward = 0;
  for (const PairRows& edits : groups) {
    InnerFitOptions options = spec_.fit;
    if (options.timeLimit) *options.timeLimit -= elapsed();
    InnerFit one = innerFit(
        result.edited, options,
        [&](const TensorTable& edited, bool withGradients) {
          const PairRows kept =
              withGradients ? keptRows(spec_.weights.objective, requests.outScope, forward++, edits.rows())
                            : PairRows();
          FtLoss loss = ftLoss(spec_.weights, *base(), withWeights(edited), edited, edits, kept,
                               withGradients, spec_.microBatch, context);
          if (withGradients) locality = loss.locality;
          return std::move(loss.edit);
        },
        context);
    result.edited = std::move(one.edited);
    for (const auto& [name, value] : one.figures) sums[name] += value;
  }
  for (const char* ended : {"stoppedByLimit", "stoppedByTime"}) sums[ended] = std::min(1.0, sums[ended]);
  if (groups.size() > 1) {  // later edits may have undone earlier ones
    const EditLoss all =
        editLoss(withWeights(result.edited), {}, requests.edits, {}, false, context, spec_.microBatch);
    sums["editLoss"] = all.loss;
    sums["editAccuracy"] = all.rowAccuracy;
  }
  for (const char* name : {"steps", "stoppedByLimit", "editLoss", "editAccuracy"}) {
    result.figures.emplace_back(name, sums.at(name));
  }
  if (spec_.fit.timeLimit) result.figures.emplace_back("stoppedByTime", sums.at("stoppedByTime"));
  if (spec_.weights.objective != FtObjective::Edit) result.figures.emplace_back("localityLoss", locality);
  appendResidualNorms(start, result.edited, result.figures);
  result.figures.emplace_back("wallMs", static_cast<double>(elapsed().count()));
  return result;
}

std::shared_ptr<Scorer> Ft::edit(const EditRequests& requests, std::shared_ptr<Scorer> onto,
                                 JobContext& context) {
  const auto* below = editedBelow<ModelScorer>(*onto);
  const Weights& weights = below == nullptr ? base()->weights : below->weights();
  if (requests.edits.rows() == 0) return overlayScorer(base(), weights, madeBy(), {});
  TensorTable start;
  for (const std::string& name : base()->architecture->editableWeights()) {
    start.emplace(name, inFp32(weights.at(name)));
  }
  Fit fitted = fit(start, requests, context);
  // Over the base, not over what is below: the same matrices are replaced, and those below may go.
  return overlayScorer(base(), base()->weights.with(std::move(fitted.edited)), madeBy(),
                       std::move(fitted.figures));
}

}  // namespace

std::shared_ptr<Editor> makeFt(const Json& json, std::shared_ptr<const Model> base) {
  const FtSpec spec = readSpec(json, base->architecture->family());
  return std::make_shared<Ft>(spec, std::move(base));
}

}  // namespace seprog
