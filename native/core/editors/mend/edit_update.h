// From a set of edits to the pseudo-gradient of every edited matrix, and back from their gradients to the editor
// networks (mend.md section 2). The edits pass in chunks: what is needed again is computed again, but for what fits in
// the room for activations.
// N kept positions of a chunk, I inputs and O outputs of a matrix, D = I + O.
#pragma once

#include <vector>

#include "../../engine/job.h"
#include "../../models/model.h"
#include "edit_factors.h"
#include "mend_modules.h"
#include "row_statistics.h"

namespace seprog {

/// Of every group of the modules, in their order.
using Statistics = std::vector<FactorMoments>;

class EditUpdate {
 public:
  /// `current` answers by the weights to be edited. `keptBytes` bounds the activations that are kept.
  EditUpdate(const MendModules& modules, const Model& current, const PairRows& edits, int64_t keptBytes,
             JobContext& context);

  /// Adds every kept row to `statistics`, matrix after matrix: a matrix is normalised by what is known once its own
  /// rows have been added.
  void learn(Statistics& statistics);
  /// Normalises by `statistics` as they are.
  void freeze(const Statistics& statistics);

  /// ∇̃W = Σ δ̃ ũᵀ in the stored shape, by matrix name.
  TensorTable pseudoGradients();
  /// The same as one graph over the networks' parameters.
  TensorTable pseudoGradientGraph();
  /// Adds the parameters' gradients to `sums`, given those of the pseudo-gradients: one matrix a name. Call once, behind
  /// pseudoGradients().
  void backward(const TensorTable& ofPseudo, Gradients& sums);

  /// L_edit of the current weights, once a pass is over.
  double loss() const { return loss_; }

 private:
  struct Trace {
    at::Tensor x_ND;
    std::vector<NetworkTrace> networks;  // one a part
  };
  struct Chunk {
    int64_t first = 0;
    int64_t count = 0;
    bool seen = false;
    bool kept = false;
    std::vector<Factors> factors;  // of a kept chunk, until its traces are
    std::vector<Trace> traces;
  };

  std::vector<Factors> factorsOf(Chunk& chunk);
  int64_t traceBytes(const std::vector<Factors>& factors) const;
  at::Tensor normalised(size_t matrix, const Factors& factors) const;
  Trace trace(size_t matrix, const Factors& factors) const;
  /// (ũ, δ̃) side by side.
  at::Tensor result(size_t matrix, const Trace& trace) const;
  void backward(size_t matrix, const Trace& trace, const at::Tensor& gradient, Gradients& sums) const;

  const MendModules& modules_;
  const Model& current_;
  const PairRows& edits_;
  JobContext& context_;
  std::vector<std::vector<NetworkPart>> parts_;       // by group
  std::vector<std::vector<EditorNetwork>> networks_;  // by group, one a part
  std::vector<Normaliser> normalisers_;               // by matrix
  std::vector<Chunk> chunks_;
  int64_t roomBytes_;
  double loss_ = 0;
};

}  // namespace seprog
