// The learned optimiser of SLAG: from the text of an edit to how its gradients become updates (slag.md section 2).
//
// R condition texts of S tokens, d width of the embedding table, H LSTM width per direction, C width of the
// condition vector, m × n an edited matrix as it is stored.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "../../models/model.h"
#include "slag_spec.h"

namespace seprog {

/// Δ = s·(∇ ⊙ a + b) of one matrix, both a and b of rank one: a = rowA ⊗ colA, b = rowB ⊗ colB. Rows are positive
/// and sum to 1.
struct UpdateRule {
  at::Tensor rowA_m, colA_n, rowB_m, colB_n;
  at::Tensor scale;  // s = maxScale·σ(·), a number

  /// Δ [m, n] for the gradient ∇ [m, n].
  at::Tensor update(const at::Tensor& gradient_mn) const;
  /// Σ_j ⟨v_j, Δ_j⟩ from Σ_j v_j ⊙ ∇_j and Σ_j v_j: the update is linear in both.
  at::Tensor along(const at::Tensor& vTimesGradient_mn, const at::Tensor& v_mn) const;
};

/// By the name of the edited weight.
using UpdateRules = std::map<std::string, UpdateRule, std::less<>>;

class Hypernetwork {
 public:
  /// Fresh: a copy of the base's embedding table, the rest as PyTorch's layers start. Same seed, same bits.
  Hypernetwork(const SlagSpec& spec, const Model& base);

  /// The same network over other tensors of the same names and shapes.
  Hypernetwork with(TensorTable parameters) const;
  /// Leaves of a new graph that share storage with these.
  Hypernetwork tracked() const;

  const SlagSpec& spec() const { return spec_; }
  /// Names: embedding, lstm.* as PyTorch's LSTM has them, linear.{weight,bias} and, for the j-th edited matrix,
  /// cond<j>.lin1|lin2.{weight_g,weight_v,bias}.
  const TensorTable& parameters() const { return parameters_; }
  /// Whether a parameter belongs to the conditioner of a matrix, else to what makes the condition vector.
  static bool isConditioner(std::string_view name) { return name.starts_with("cond"); }
  /// The edited weights (models.md section 8), in order.
  const std::vector<std::string>& edited() const { return edited_; }

  /// Condition vectors of texts, [R, C]. Padding plays no part; the row 0 of the table gets no gradient. Throws
  /// DATA_INVALID for a text without a token.
  at::Tensor condition(const TokenBatch& text_RS) const;
  /// What the condition vector of one edit, [C], makes of the gradients of every edited matrix.
  UpdateRules rules(const at::Tensor& c_C) const;

 private:
  at::Tensor conditioner(const std::string& layer, const at::Tensor& x) const;

  SlagSpec spec_;
  std::vector<std::string> edited_;
  std::vector<std::pair<int64_t, int64_t>> shapes_;  // m, n of edited_
  TensorTable parameters_;
};

}  // namespace seprog
