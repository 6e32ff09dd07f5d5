// The trained modules of SEPROG and their equations. Immutable but for an optimiser that owns the only copy.
//
// n episodes (1 at inference), K edits and R inputs of an episode, S tokens, H the edit width (h of the paper),
// Db hidden width of the base (d_b), De of the edit encoder (d_edit), P prompt rows (p), D embedding width (d).
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../../models/model.h"
#include "../../ops/cross_attention/cross_attention.h"
#include "../../tensor/token_batch.h"
#include "../../tensor/weights.h"
#include "seprog_spec.h"

namespace seprog {

/// What names of base weights that are parameters of the editor begin with.
inline constexpr std::string_view kBasePrefix = "base.";
/// The base weights that `spec` trains, under their own names (models.md section 8).
std::vector<std::string> tunedWeights(const SeprogSpec& spec, const Model& base);

class SeprogModules {
 public:
  /// Fresh modules: the edit encoder as `editEncoder` has it, the rest as R10 says. Same seed, same bits.
  SeprogModules(const SeprogSpec& spec, const Model& editEncoder, const Model& base);

  /// The same modules over other tensors of the same names and shapes.
  SeprogModules with(TensorTable parameters) const;
  /// Leaves of a new graph that share storage with these. A base tuned at the rate 0 is frozen: no leaves.
  SeprogModules tracked() const;
  SeprogModules clone() const;

  /// Checkpoint names: W_o, b_o, W_att, NN_e.i.{weight,bias}, NN_prompt.i.{weight,bias}, edit_encoder.<name>.
  /// Without a classifier there is no NN_e, without attention no W_att; a base that is tuned with the modules
  /// adds base.<name>.
  const TensorTable& parameters() const { return parameters_; }
  const SeprogSpec& spec() const { return spec_; }
  const Architecture& editEncoder() const { return *encoder_; }
  /// The base as these modules have tuned it; `base` itself when they do not.
  Model tuned(const Model& base) const;

  /// Pooled edit encodings, [rows, De] (R3, R4): what W_o projects.
  at::Tensor poolEdits(const TokenBatch& z) const;
  /// H_e: one row per edit text, [rows, H] (R3, R4, R5).
  at::Tensor embedEdits(const TokenBatch& z) const;

  /// h(x) = α H_e with α = softmax(q H_eᵀ/√h), q = W_att b(x) (R1, R7), every input over the edits of its
  /// episode. Without attention α = 1/K, and there is neither α nor an arg-max to be had.
  CrossAttention select(const at::Tensor& b_nRDb, const at::Tensor& H_nKH,
                        CrossAttentionWants wants = {}) const;

  /// ℓ(x) = NN_e(h(x) ⊕ b(x)), a logit: in scope iff it is above 0 (R8). [..., H], [..., Db] → [...].
  at::Tensor scopeLogit(const at::Tensor& h, const at::Tensor& b) const;

  /// pr(x, Z_e) = NN_prompt(h(x)): [B, H] → [B, P, D] (R9).
  at::Tensor prompts(const at::Tensor& h_BH) const;
  /// prompts() as the base takes them (R11).
  Prompt promptOf(at::Tensor rows_BPD) const { return {std::move(rows_BPD), spec_.promptPositions}; }

 private:
  SeprogModules() = default;
  void bindEncoder();

  SeprogSpec spec_;
  std::shared_ptr<const Architecture> encoder_;
  int64_t embeddingWidth_ = 0;
  TensorTable parameters_;
  Weights encoderWeights_;  // the edit_encoder part of parameters_ under the names its architecture reads
};

}  // namespace seprog
