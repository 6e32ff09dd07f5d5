// Kind `ft`: fine-tuning at edit time as the published code does it, forward by forward, and the editor as a whole.
#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "../editors/ft.h"
#include "../editors/ft_objective.h"
#include "../editors/model_scorer.h"
#include "../train/inner_fit.h"
#include "golden.h"

namespace seprog {
namespace {

JobContext quiet;

double number(const Golden& golden, const char* key) { return golden.member(key).number(); }

/// Rows of one of a case's batches. Of a model that goes on where its source ends the labels stand in the ids.
PairRows batchOf(const Golden& golden, const std::string& name, const std::string& family) {
  const at::Tensor& ids_BS = golden.input(name + ".input_ids");
  const at::Tensor& labels_BT = golden.input(name + ".labels");
  const TokenRows whole = rowsOf(ids_BS, golden.input(name + ".attention_mask"));
  if (family == "bert") return {whole, rowsOf(labels_BT, at::ones_like(labels_BT))};
  TokenRows target = rowsOfLabels(labels_BT);
  // BART's labels are a whole decoder row, whose first token nobody predicts.
  if (family == "bart")
    target = rowsOf(labels_BT.narrow(1, 1, labels_BT.size(1) - 1),
                    labels_BT.narrow(1, 1, labels_BT.size(1) - 1).ne(-100));
  if (family != "gpt2") return {whole, target};
  TokenRows source;
  auto row = whole.ids.begin();
  for (int64_t b = 0; b < whole.rows(); ++b) {
    const int32_t length = whole.lengths[b] - target.lengths[b];
    source.ids.insert(source.ids.end(), row, row + length);
    source.lengths.push_back(length);
    row += whole.lengths[b];
  }
  return {source, target};
}

/// The out-of-scope samples of all steps, one row each.
PairRows keptOf(const Golden& golden, const std::string& family) {
  PairRows kept;
  for (int64_t t = 0; golden.has("in.loc" + std::to_string(t) + ".input_ids"); ++t) {
    const PairRows one = batchOf(golden, "in.loc" + std::to_string(t), family);
    for (auto [side, more] : {std::pair{&kept.source, &one.source}, std::pair{&kept.target, &one.target}}) {
      side->ids.insert(side->ids.end(), more->ids.begin(), more->ids.end());
      side->lengths.insert(side->lengths.end(), more->lengths.begin(), more->lengths.end());
    }
  }
  return kept;
}

at::Tensor table(const std::vector<double>& values) { return at::tensor(values, at::kFloat); }

struct Trace {
  std::vector<double> edit, accuracy, locality, total;
  std::vector<TensorTable> weights;  // at each forward pass
};

}  // namespace

void checkFt(Golden& golden) {
  const auto model = std::make_shared<const Model>(loadModel(golden.folder() + "/model", at::kCPU));
  const std::string family = golden.family();
  const PairRows edits = batchOf(golden, "in.edit", family);
  const PairRows outScope = keptOf(golden, family);
  std::vector<std::string> names;
  for (const Json& name : golden.member("inner_params").array()) {
    // The wrapper of BERT in these cases calls the encoder `model`.
    names.push_back(family == "bert" ? "bert" + name.string().substr(5) : name.string());
  }
  EXPECT_EQ(model->architecture->editableWeights(), names);

  FtWeights objective;
  const bool locality = golden.member("locality").boolean();
  if (locality) {
    objective.objective = FtObjective::Kl;
    objective.editWeight = number(golden, "c_edit_in_locality");
  }
  InnerFitOptions options;
  options.learningRate = number(golden, "edit_lr");
  options.maxSteps = static_cast<int64_t>(number(golden, "max_steps"));
  options.clipNorm = number(golden, "grad_clip");

  TensorTable start;
  for (const std::string& name : names) start.emplace(name, model->weights.at(name));
  Trace trace;
  const InnerFit fit = innerFit(
      start, options,
      [&](const TensorTable& edited, bool withGradients) {
        const Model with{model->architecture, model->weights.with(edited), model->device};
        const auto step = static_cast<int64_t>(trace.edit.size());
        FtLoss loss =
            ftLoss(objective, *model, with, edited, edits,
                   withGradients ? keptRows(objective.objective, outScope, step, edits.rows()) : PairRows(),
                   withGradients, 2, quiet);
        if (withGradients) {
          trace.edit.push_back(loss.edit.loss);
          trace.accuracy.push_back(loss.edit.rowAccuracy);
          trace.locality.push_back(loss.locality);
          trace.total.push_back(loss.total);
          trace.weights.push_back(edited);
        }
        return std::move(loss.edit);
      },
      quiet);

  golden.expect("loss_edit", table(trace.edit));
  golden.expect("acc", table(trace.accuracy));
  if (locality) {
    golden.expect("loss_loc", table(trace.locality));
    golden.expect("loss_total", table(trace.total));
  }
  const auto steps = static_cast<size_t>(number(golden, "spec_steps"));
  for (size_t j = 0; j < names.size(); ++j) {
    const auto expectAt = [&](const std::string& prefix, const TensorTable& weights) {
      golden.expect(prefix + "." + std::to_string(j), weights.at(names[j]));
    };
    for (size_t t = 1; golden.has("after_step" + std::to_string(t) + ".0"); ++t) {
      expectAt("after_step" + std::to_string(t), t < trace.weights.size() ? trace.weights[t] : fit.edited);
    }
    // Where the published code stops at its limit, it returns the weights of its last forward pass and loses the
    // last step; here, as the specification has it, that step counts.
    expectAt("official_edited", trace.weights.back());
    expectAt("spec_edited", fit.edited);
  }

  const Json spec = Json::Object{{"kind", "ft"},
                                 {"objective", locality ? "kl" : "edit"},
                                 {"editWeight", objective.editWeight},
                                 {"editLearningRate", options.learningRate},
                                 {"maxSteps", options.maxSteps},
                                 {"clipNorm", options.clipNorm}};
  EditRequests requests{edits, edits.source, std::vector<std::string>(edits.rows(), "edit")};
  requests.outScope = outScope;
  const auto edited = makeFt(spec, model)->edit(requests, baseScorer(model), quiet);
  const Weights& weights = dynamic_cast<const ModelScorer&>(*edited).weights();
  for (size_t j = 0; j < names.size(); ++j) {
    golden.expect("spec_edited." + std::to_string(j), weights.at(names[j]));
  }
  const Figures figures = edited->editFigures();
  const auto figure = [&](const std::string& name) {
    for (const auto& [key, value] : figures) {
      if (key == name) return value;
    }
    ADD_FAILURE() << "no figure " << name;
    return -1.0;
  };
  EXPECT_EQ(figure("steps"), static_cast<double>(steps));
  EXPECT_EQ(figure("stoppedByLimit"), golden.member("stopped_by").string() == "max" ? 1 : 0);
}

}  // namespace seprog
