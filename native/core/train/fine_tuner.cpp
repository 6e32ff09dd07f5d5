#include "fine_tuner.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>

#include "../error.h"
#include "../instrument/memory_role.h"
#include "../io/safetensors.h"
#include "../options.h"
#include "../tensor/narrow.h"
#include "backward.h"
#include "losses.h"
#include "optimizer.h"

namespace seprog {
namespace {

struct TunerOptions {
  AdamOptions optimizer;
  double clipNorm = 1.0;
};

TunerOptions readTunerOptions(const Json& json) {
  Options options(json, "fineTuner");
  TunerOptions read;
  read.optimizer = readAdamOptions(options.child("optimizer"));
  read.clipNorm = options.number("clipNorm", read.clipNorm);
  options.finish();
  if (!(read.clipNorm > 0)) {
    fail(ErrorCode::ConfigInvalid,
         "expected a number above 0 for `fineTuner.clipNorm` but received " + Json(read.clipNorm).dump());
  }
  return read;
}

TensorTable copyOf(const Weights& weights, const at::Device& device) {
  at::NoGradGuard noGrad;
  const RoleScope role(MemoryRole::Weights);
  TensorTable copy;
  for (const auto& [name, tensor] : weights.flatten()) {
    copy.emplace(name, inFp32(tensor.detach()).to(device, at::kFloat, false, true).contiguous());
  }
  return copy;
}

class Tuner : public FineTuner {
 public:
  Tuner(const TunerOptions& options, const Model& start)
      : options_(options),
        architecture_(start.architecture),
        device_(start.device),
        parameters_(copyOf(start.weights, start.device)),
        adam_(options.optimizer, parameters_) {}

  Figures trainStep(const PairRows& batch, double learningRate, JobContext& context) override {
    Losses step = losses(batch, true, context);
    context.checkCancelled();
    const auto phase = context.phase("update");
    const double gradNorm = demandFinite(globalNorm(step.gradients), "gradNorm");
    adam_.step(parameters_, step.gradients, learningRate, clipFactor(gradNorm, options_.clipNorm));
    step.figures.emplace_back("gradNorm", gradNorm);
    return step.figures;
  }

  Figures validate(const PairRows& batch, JobContext& context) override {
    return losses(batch, false, context).figures;
  }

  Model snapshot() const override {
    return Model{architecture_, Weights(copyOf(Weights(parameters_), device_)), device_};
  }

  void save(const std::string& directory, bool withOptimizer) const override {
    saveModel(Model{architecture_, Weights(parameters_), device_}, directory, "fp32");
    if (withOptimizer) adam_.save(directory + "/optimizer.safetensors");
  }

  void restore(const std::string& directory, bool withOptimizer) override {
    const Model saved = loadModel(directory, device_);
    if (saved.architecture->expectedWeights() != architecture_->expectedWeights()) {
      fail(ErrorCode::CheckpointInvalid,
           "expected a model of the same sizes for `" + directory +
               "` but received another; restore into a tuner made from that model");
    }
    TensorTable parameters = copyOf(saved.weights, device_);
    Adam adam(options_.optimizer, parameters);
    if (withOptimizer) adam.restore(directory + "/optimizer.safetensors");
    parameters_ = std::move(parameters);
    adam_ = std::move(adam);
  }

 private:
  struct Losses {
    Figures figures;
    Gradients gradients;  // empty without gradients
  };

  Losses losses(const PairRows& batch, bool withGradients, JobContext& context) const {
    if (batch.source.rows() != batch.target.rows() || batch.target.ids.empty()) {
      fail(ErrorCode::DataInvalid,
           "expected as many targets as sources and at least one target token for `batch` but "
           "received " +
               std::to_string(batch.source.rows()) + " sources and " + std::to_string(batch.target.rows()) +
               " targets");
    }
    const Architecture& family = *architecture_;
    std::vector<std::string> names;
    std::vector<at::Tensor> leaves;
    TensorTable table;
    for (const auto& [name, parameter] : parameters_) {
      const at::Tensor leaf = parameter.detach().set_requires_grad(withGradients);
      names.push_back(name);
      leaves.push_back(leaf);
      table.emplace(name, leaf);
    }
    const Weights weights(std::move(table));
    const TokenBatch source = pad(batch.source, family.padId(), family.vocabulary(), device_);
    const Targets targets = targetsFor(family, batch.target, device_);
    const Head head = family.head(weights);

    at::AutoGradMode graph(withGradients);
    at::Tensor states_ND;
    {
      const auto phase = context.phase("forward");
      states_ND = family.targetStates(weights, family.encodeForAnswers(weights, source), targets, {});
    }
    context.checkCancelled();
    TokenLossGradients token;
    Losses result;
    {
      const auto phase = context.phase("head");
      at::NoGradGuard byHand;
      if (withGradients) {
        const at::Tensor mean_N = at::full({states_ND.size(0)}, 1.0 / static_cast<double>(states_ND.size(0)),
                                           states_ND.options().requires_grad(false));
        token = tokenNllGradients(states_ND, head, targets.labels_N, mean_N, true);
      } else {
        token.losses = tokenNll(states_ND, head, targets.labels_N);
      }
      const double loss = -token.losses.logProb_N.to(at::kDouble).mean().item<double>();
      result.figures = {{"loss", demandFinite(loss, "loss")},
                        {"rowAccuracy", static_cast<double>(countRightRows(token.losses, targets)) /
                                            static_cast<double>(batch.rows())}};
    }
    if (!withGradients) return result;

    context.checkCancelled();
    const auto phase = context.phase("backward");
    std::vector<at::Tensor> outputs = {states_ND};
    std::vector<at::Tensor> outputGradients = {token.h_ND};
    appendHead(head, token, outputs, outputGradients);
    std::vector<at::Tensor> gradients = gradientsFor(outputs, leaves, outputGradients);
    for (size_t i = 0; i < names.size(); ++i) {
      if (gradients[i].defined()) result.gradients.emplace(std::move(names[i]), std::move(gradients[i]));
    }
    return result;
  }

  TunerOptions options_;
  std::shared_ptr<const Architecture> architecture_;
  at::Device device_;
  TensorTable parameters_;
  Adam adam_;
};

}  // namespace

std::shared_ptr<FineTuner> makeFineTuner(const Json& options, const Model& start) {
  return std::make_shared<Tuner>(readTunerOptions(options), start);
}

}  // namespace seprog
