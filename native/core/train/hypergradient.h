// A few gradient steps on some weights of a model, and the exact gradient of whatever is computed behind them for
// everything that stood in front: the hypergradient of an inner loop (enn.md section 4). M edited matrices, J
// inner steps.
//
// In two stages no graph of the inner loop outlives a chunk of rows. First innerPass() steps without a graph, and the
// caller differentiates the outer loss at the edited matrices as leaves: v = ∂L_out/∂W^(J). Then backThroughInner()
// computes the inner loss once more, chunk by chunk, and backpropagates ⟨∂L_in/∂W, −a·v⟩. That product is a sum over
// rows, so the peak does not depend on their number. unrolledInner() is the plain way, one graph through everything.
//
// Gradients are added to what grad() of the leaves holds: one sum exists, however many passes add to it.
#pragma once

#include <string>
#include <vector>

#include "../engine/job.h"
#include "../models/model.h"
#include "optimizer.h"

namespace seprog {

enum class Hypergradient { TwoStage, CreateGraph };

/// W^(j+1)_m = W^(j)_m − a_m · ∂L_in/∂W_m (W^(j)), L_in the token-mean negative log-likelihood of all edits together.
struct InnerLoop {
  std::vector<std::string> edited;  // names of the M matrices
  at::Tensor rates_M;               // a, on the CPU
  int64_t steps = 1;                // J
  int64_t chunkRows = 16;
  bool firstOrder = false;  // ∂L_in/∂W counts as a constant; the rates get their gradient all the same
};

struct InnerPass {
  std::vector<TensorTable>
      weights;  // of the edited matrices, in front of every step and behind the last: J+1
  std::vector<TensorTable> gradients;  // ∂L_in/∂W in front of every step: J
  double loss = 0;                     // L_in in front of the first step
};

/// The steps without a graph. Throws DATA_INVALID for edits without a target token.
InnerPass innerPass(const Model& model, const InnerLoop& loop, const PairRows& edits, JobContext& context);

/// The second stage. `leaves` are all weights of the model that require a gradient, the edited ones among them as they
/// were in front of the first step; `v` is the outer loss's gradient for the edited matrices. Adds what reaches the
/// leaves through the inner steps to their grad() and gives that of the rates, [M].
at::Tensor backThroughInner(const Architecture& family, const TensorTable& leaves, const InnerLoop& loop,
                            const InnerPass& pass, const PairRows& edits, TensorTable v, JobContext& context);

struct UnrolledInner {
  TensorTable weights;  // W^(J) as functions of the leaves and of loop.rates_M
  double loss = 0;      // L_in in front of the first step
};

/// The same steps with one graph. All edits are one chunk.
UnrolledInner unrolledInner(const Architecture& family, const TensorTable& leaves, const InnerLoop& loop,
                            const PairRows& edits, JobContext& context);

/// −Σ_n weight · ln p(y_n) with a graph that can be differentiated any number of times.
at::Tensor weightedNll(const Architecture& family, const Weights& weights, const TokenBatch& source,
                       const Targets& targets, double weight);

/// These tensors, detached, as leaves that require a gradient.
TensorTable asLeaves(const TensorTable& tensors);
/// Adds to the grad() of a leaf; may take over `gradient`.
void addGradient(const at::Tensor& leaf, const at::Tensor& gradient);

}  // namespace seprog
