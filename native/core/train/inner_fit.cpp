#include "inner_fit.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "../instrument/flops.h"
#include "../instrument/memory_role.h"
#include "../tensor/random.h"
#include "losses.h"
#include "rmsprop.h"

namespace seprog {
namespace {

/// R of each weight with what the optimiser moves: R itself, or the factors of R = u v.
class Residuals {
 public:
  Residuals(const TensorTable& start, const InnerFitOptions& options)
      : start_(start), lowRank_(options.rank > 0) {
    for (const auto& [name, W] : start) {
      if (!lowRank_) {
        parameters_.emplace(name, at::zeros_like(W, at::MemoryFormat::Contiguous));
        continue;
      }
      at::Tensor u =
          Random(options.seed, name).normalTensor({W.size(0), options.rank}, 0, options.rankDeviation);
      parameters_.emplace(name + ".u", u.to(W.device()));
      parameters_.emplace(name + ".v", at::zeros({options.rank, W.size(1)}, W.options()));
    }
  }

  const TensorTable& parameters() const { return parameters_; }

  at::Tensor of(const std::string& name) const {
    return lowRank_ ? at::mm(parameters_.at(name + ".u"), parameters_.at(name + ".v")) : parameters_.at(name);
  }

  /// W + R.
  TensorTable edited(bool tracked) const {
    at::NoGradGuard noGrad;
    const RoleScope role(MemoryRole::EditMemory);
    TensorTable table;
    for (const auto& [name, W] : start_) {
      table.emplace(name, (W.detach() + of(name)).set_requires_grad(tracked));
    }
    return table;
  }

  /// For the parameters, from those for W + R.
  Gradients gradients(Gradients ofEdited) const {
    if (!lowRank_) return ofEdited;
    at::NoGradGuard noGrad;
    const BackwardPass pass("factors");
    const RoleScope role(MemoryRole::Gradients);
    Gradients factors;
    for (const auto& [name, G] : ofEdited) {
      factors.emplace(name + ".u", at::mm(G, parameters_.at(name + ".v").t()));
      factors.emplace(name + ".v", at::mm(parameters_.at(name + ".u").t(), G));
    }
    return factors;
  }

  double norm() const {
    TensorTable all;
    for (const auto& [name, W] : start_) all.emplace(name, of(name));
    return globalNorm(all);
  }

 private:
  const TensorTable& start_;
  bool lowRank_;
  TensorTable parameters_;
};

}  // namespace

InnerFit innerFit(const TensorTable& start, const InnerFitOptions& options, const InnerLoss& loss,
                  JobContext& context) {
  const auto phase = context.phase("inner_fit");
  const auto startedAt = std::chrono::steady_clock::now();
  const auto timeIsUp = [&] {
    return options.timeLimit && std::chrono::steady_clock::now() - startedAt >= *options.timeLimit;
  };
  Residuals residuals(start, options);
  RmsProp optimizer;
  EditLoss now;
  int64_t steps = 0;
  bool outOfTime = false;
  for (; steps < options.maxSteps; ++steps) {
    context.checkCancelled();
    now = loss(residuals.edited(true), true);
    demandFinite(now.loss, "editLoss");
    if (now.rowAccuracy == 1.0) break;
    outOfTime = timeIsUp();
    if (outOfTime) break;
    const Gradients gradients = residuals.gradients(std::move(now.gradients));
    const double norm = demandFinite(globalNorm(gradients), "gradNorm");
    optimizer.step(residuals.parameters(), gradients, options.learningRate,
                   clipFactor(norm, options.clipNorm));
  }
  InnerFit fit;
  fit.edited = residuals.edited(false);
  const bool limit = steps == options.maxSteps;
  if (limit) now = loss(fit.edited, false);
  fit.figures = {{"steps", static_cast<double>(steps)},
                 {"stoppedByLimit", limit ? 1.0 : 0.0},
                 {"editLoss", demandFinite(now.loss, "editLoss")},
                 {"editAccuracy", now.rowAccuracy},
                 {"residualNorm", residuals.norm()}};
  if (options.timeLimit) fit.figures.emplace_back("stoppedByTime", outOfTime ? 1.0 : 0.0);
  return fit;
}

}  // namespace seprog
