// MEND's editor network: two blocks of low rank that start as the identity (mend.md section 4).
// N rows, D width, R rank, M modes.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <string>

#include "../../train/optimizer.h"

namespace seprog {

/// y = x + max(s ⊙ (U V x + b) + o, 0); without modes there is no s and no o, without a residual no x.
struct EditorBlock {
  at::Tensor U_DR;
  at::Tensor V_RD;
  at::Tensor b_D;
  at::Tensor s_MD;  // undefined without modes
  at::Tensor o_MD;
};

/// What a block keeps for its backward pass.
struct BlockTrace {
  at::Tensor x_ND;
  at::Tensor h_NR;  // V x
  at::Tensor t_ND;  // U V x + b
};
using NetworkTrace = std::array<BlockTrace, 2>;

class EditorNetwork {
 public:
  /// Reads `prefix`block1.U … block2.o of `parameters`.
  EditorNetwork(const TensorTable& parameters, std::string prefix, bool residual);

  /// Differentiable by autograd: the definition.
  at::Tensor forward(const at::Tensor& x_ND, int64_t mode) const;
  /// The same pass without a graph, as what backward() and result() read.
  NetworkTrace trace(const at::Tensor& x_ND, int64_t mode) const;
  /// The result of forward(), from its trace.
  at::Tensor result(const NetworkTrace& trace, int64_t mode) const;
  /// Adds the gradients of the parameters to `sums`, which has an entry for each. `g_ND` is the gradient of the
  /// result.
  void backward(const NetworkTrace& trace, int64_t mode, const at::Tensor& g_ND, Gradients& sums) const;

 private:
  /// s ⊙ t + o.
  at::Tensor modulated(const EditorBlock& block, int64_t mode, const at::Tensor& t_ND) const;
  at::Tensor finish(const EditorBlock& block, int64_t mode, const BlockTrace& trace) const;

  std::string prefix_;
  bool residual_;
  std::array<EditorBlock, 2> blocks_;
};

/// "block1." or "block2.".
std::string blockName(size_t index);

}  // namespace seprog
