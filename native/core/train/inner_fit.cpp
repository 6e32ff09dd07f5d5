#include "inner_fit.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include "losses.h"
#include "rmsprop.h"

namespace seprog {

InnerFit innerFit(const TensorTable& start, const InnerFitOptions& options, const InnerLoss& loss,
                  JobContext& context) {
  const auto phase = context.phase("inner_fit");
  TensorTable residual;
  for (const auto& [name, W] : start) residual.emplace(name, at::zeros_like(W, at::MemoryFormat::Contiguous));
  const auto edited = [&](bool tracked) {
    at::NoGradGuard noGrad;
    TensorTable table;
    for (const auto& [name, W] : start) {
      table.emplace(name, (W.detach() + residual.at(name)).set_requires_grad(tracked));
    }
    return table;
  };

  RmsProp optimizer;
  EditLoss now;
  int64_t steps = 0;
  for (; steps < options.maxSteps; ++steps) {
    context.checkCancelled();
    now = loss(edited(true), true);
    demandFinite(now.loss, "editLoss");
    if (now.rowAccuracy == 1.0) break;
    const double norm = demandFinite(globalNorm(now.gradients), "gradNorm");
    optimizer.step(residual, now.gradients, options.learningRate, clipFactor(norm, options.clipNorm));
  }
  InnerFit fit;
  fit.edited = edited(false);
  const bool limit = steps == options.maxSteps;
  if (limit) now = loss(fit.edited, false);
  fit.figures = {{"steps", static_cast<double>(steps)},
                 {"stoppedByLimit", limit ? 1.0 : 0.0},
                 {"editLoss", demandFinite(now.loss, "editLoss")},
                 {"editAccuracy", now.rowAccuracy},
                 {"residualNorm", globalNorm(residual)}};
  return fit;
}

}  // namespace seprog
