// A few optimiser steps on some weights until edits are predicted: the loop of fine-tuning at edit time (ft.md
// section 2).
#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "../editors/editor.h"
#include "edit_loss.h"

namespace seprog {

struct InnerFitOptions {
  int64_t maxSteps = 100;
  double learningRate = 1e-5;
  double clipNorm = 100;
  int64_t rank = 0;             // of R = u v; 0: R is a matrix of its own
  double rankDeviation = 0.01;  // of the entries of u at the start; v starts at zero
  uint64_t seed = 0;            // of u
  std::optional<std::chrono::milliseconds> timeLimit = std::nullopt;
};

/// The loss with these weights in place of the originals; they require gradients iff `withGradients`. What is
/// minimised is what the gradients say; `loss` and `rowAccuracy` are those of the edits.
using InnerLoss = std::function<EditLoss(const TensorTable& edited, bool withGradients)>;

struct InnerFit {
  TensorTable edited;  // W + R
  /// steps; stoppedByLimit 0 or 1; editLoss and editAccuracy, of the final weights; residualNorm, ‖R‖ over all
  /// matrices; with a time limit stoppedByTime 0 or 1.
  Figures figures;
};

/// Residual form: R = 0, the edited weight is W + R, W stays as it is. RMSprop (smoothing 0.99, epsilon 1e-8)
/// over R, or over u and v, with a fresh state, the joint norm clipped. Stops in front of a step when every edit
/// is right or the time is up, or behind the last one. Cancellation is checked between steps. Throws NON_FINITE.
InnerFit innerFit(const TensorTable& start, const InnerFitOptions& options, const InnerLoss& loss,
                  JobContext& context);

}  // namespace seprog
