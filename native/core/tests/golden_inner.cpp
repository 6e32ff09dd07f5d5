// Kind `inner_loop`: ENN's inner steps, its gradients of second and first order beside finite differences, and
// fine-tuning, on one model of a family.
#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "../editors/enn/enn_losses.h"
#include "../train/inner_fit.h"
#include "golden.h"
#include "tiny.h"

namespace seprog {
namespace {

JobContext quiet;

at::Tensor scalar(double value) { return at::scalar_tensor(value, at::kFloat); }
at::Tensor integer(int64_t value) { return at::scalar_tensor(value, at::kLong); }

/// Out-of-scope rows of a classifier have no label: a divergence asks for none.
PairRows batchOf(const Golden& golden, const std::string& name) {
  PairRows rows{sourceRows(golden, name + ".src", name + ".types"), {}};
  if (golden.family() != "bert") {
    rows.target = rowsOfLabels(golden.input(name + ".labels"));
  } else {
    const at::Tensor y_B1 = golden.has(name + ".y") ? golden.input(name + ".y").unsqueeze(1)
                                                    : at::zeros({rows.source.rows(), 1}, at::kLong);
    rows.target = rowsOf(y_B1, at::ones_like(y_B1));
  }
  return rows;
}

class InnerCase {
 public:
  explicit InnerCase(Golden& golden)
      : golden_(golden), model_(loadModel(golden.folder() + "/model", at::kCPU)), original_(model_) {
    TensorTable before;
    for (const std::string& name : golden.namesWith("theta0."))
      before.emplace(name.substr(7), golden.input(name));
    original_.weights = model_.weights.with(std::move(before));
    batch_.edits = batchOf(golden, "edit");
    batch_.inScope = batchOf(golden, "in");
    batch_.outScope = batchOf(golden, "out");
    batch_.editText = batch_.edits.source;
    edited_ = model_.architecture->editableWeights();
  }

  void check() {
    std::vector<std::string> listed;
    for (const Json& name : setting("editable").array()) listed.push_back(name.string());
    EXPECT_EQ(edited_, listed);
    for (const int64_t steps : {1, 2}) {
      checkInnerSteps(steps);
      for (const Hypergradient way : {Hypergradient::TwoStage, Hypergradient::CreateGraph}) {
        checkGradients(steps, way);
      }
    }
    checkFineTuning("acc");
    checkFineTuning("max");
  }

 private:
  const Json& setting(const char* key) const { return *golden_.settings().find(key); }

  EnnSpec spec(int64_t steps, Hypergradient way) const {
    EnnSpec spec;
    spec.cEdit = setting("c_e").number();
    spec.cLoc = setting("c_loc").number();
    spec.cBase = setting("c_base").number();
    spec.innerSteps = steps;
    spec.hypergradient = way;
    spec.microBatch = 2;
    return spec;
  }
  EnnParameters parameters() const { return {model_.weights.flatten(), golden_.input("lr")}; }
  EditLoss editLossAt(const TensorTable& edited, bool withGradients) const {
    const Model with{model_.architecture, model_.weights.with(edited), model_.device};
    return editLoss(with, edited, batch_.edits, {}, withGradients, quiet, 2);
  }

  void checkInnerSteps(int64_t steps) {
    const std::string prefix = "enn.steps" + std::to_string(steps) + ".";
    const InnerLoop loop =
        innerLoop(*model_.architecture, spec(steps, Hypergradient::TwoStage), golden_.input("lr"));
    const InnerPass pass = innerPass(model_, loop, batch_.edits, quiet);
    std::vector<double> losses;
    for (int64_t j = 0; j < steps; ++j) losses.push_back(editLossAt(pass.weights[j], false).loss);
    EXPECT_NEAR(pass.loss, losses[0], 1e-6);
    golden_.expect(prefix + "L_in", at::tensor(losses, at::kFloat));
    for (const std::string& name : edited_)
      golden_.expect(prefix + "edited." + name, pass.weights[steps].at(name));
  }

  void checkGradients(int64_t steps, Hypergradient way) {
    const std::string prefix = "enn.steps" + std::to_string(steps) + ".";
    EnnSpec options = spec(steps, way);
    const EnnLosses second = ennGradients(original_, parameters(), options, batch_, quiet);
    golden_.expect(prefix + "L", scalar(tiny::figure(second.figures, "loss")));
    golden_.expect(prefix + "L_e", scalar(tiny::figure(second.figures, "editLoss")));
    golden_.expect(prefix + "L_loc", scalar(tiny::figure(second.figures, "localityLoss")));
    golden_.expect(prefix + "L_base", scalar(tiny::figure(second.figures, "baseLoss")));
    expectGradients(prefix + "second.", second);
    options.firstOrder = true;
    const EnnLosses first = ennGradients(original_, parameters(), options, batch_, quiet);
    expectGradients(prefix + "first.", first);
    checkCoordinates("fd.steps" + std::to_string(steps) + ".", second, first);
  }

  /// A tied or unread weight has no gradient, and none or zeros in the fixture.
  void expectGradients(const std::string& prefix, const EnnLosses& losses) {
    for (const std::string& stored : golden_.namesWith(prefix + "grad.")) {
      const auto found = losses.theta.find(stored.substr(prefix.size() + 5));
      golden_.expect(stored,
                     found == losses.theta.end() ? at::zeros_like(golden_.input(stored)) : found->second);
    }
    golden_.expect(prefix + "grad_lr", losses.innerRate_M);
  }

  /// Single coordinates of the gradients, against central differences of the loss in double precision.
  void checkCoordinates(const std::string& prefix, const EnnLosses& second, const EnnLosses& first) {
    const at::Tensor param = golden_.input(prefix + "param");
    const at::Tensor index = golden_.input(prefix + "index");
    std::vector<double> ofSecond, ofFirst;
    for (int64_t i = 0; i < param.numel(); ++i) {
      const std::string name = setting("fd_params").array()[param[i].item<int64_t>()].string();
      const auto flat = index[i].item<int64_t>();
      ofSecond.push_back(second.theta.at(name).reshape({-1})[flat].item<double>());
      ofFirst.push_back(first.theta.at(name).reshape({-1})[flat].item<double>());
    }
    golden_.expect(prefix + "value", at::tensor(ofSecond, at::kFloat));
    golden_.expect(prefix + "autograd", at::tensor(ofSecond, at::kFloat));
    golden_.expect(prefix + "first_order", at::tensor(ofFirst, at::kFloat));
    golden_.expect(prefix + "lr", second.innerRate_M);
  }

  void checkFineTuning(const std::string& stop) {
    const std::string prefix = "ft." + stop + ".";
    InnerFitOptions options;
    options.learningRate = setting("ft_lr").number();
    options.clipNorm = setting("ft_clip").number();
    options.maxSteps = static_cast<int64_t>(setting("ft_max_steps").find(stop)->number());
    TensorTable start;
    for (const std::string& name : edited_) start.emplace(name, model_.weights.at(name));
    std::vector<double> losses, accuracies, norms;
    const InnerFit fit = innerFit(
        start, options,
        [&](const TensorTable& edited, bool withGradients) {
          EditLoss loss = editLossAt(edited, withGradients);
          if (!withGradients) return loss;
          if (losses.empty()) {
            for (const std::string& name : edited_)
              golden_.expect("ft.grad0." + name, loss.gradients.at(name));
          }
          losses.push_back(loss.loss);
          accuracies.push_back(loss.rowAccuracy);
          norms.push_back(globalNorm(loss.gradients));
          return loss;
        },
        quiet);
    const auto steps = static_cast<int64_t>(tiny::figure(fit.figures, "steps"));
    norms.resize(steps);  // no step follows the forward pass that finds every edit right
    golden_.expect(prefix + "losses", at::tensor(losses, at::kFloat));
    golden_.expect(prefix + "accs", at::tensor(accuracies, at::kFloat));
    golden_.expect(prefix + "grad_norms", at::tensor(norms, at::kFloat));
    golden_.expect(prefix + "steps", integer(steps));
    golden_.expect(prefix + "stopped_by_acc",
                   integer(tiny::figure(fit.figures, "stoppedByLimit") == 0 ? 1 : 0));
    golden_.expect(prefix + "loss_after", scalar(tiny::figure(fit.figures, "editLoss")));
    golden_.expect(prefix + "acc_after", scalar(tiny::figure(fit.figures, "editAccuracy")));
    for (const std::string& name : edited_) {
      golden_.expect(prefix + "edited." + name, fit.edited.at(name));
      golden_.expect(prefix + "norm_R." + name, (fit.edited.at(name) - start.at(name)).norm());
    }
  }

  Golden& golden_;
  Model model_;
  Model original_;
  EpisodeBatch batch_;
  std::vector<std::string> edited_;
};

}  // namespace

void checkInnerLoop(Golden& golden) { InnerCase(golden).check(); }

}  // namespace seprog
