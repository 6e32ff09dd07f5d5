// KL(p ‖ q) of token distributions straight from the states in front of two heads. The logits pass in blocks of rows
// and are gone again. N target tokens, D and D' widths, V vocabulary (metrics.md section 6).
#pragma once

#include "state_gradients.h"

namespace seprog {

/// Without a graph: [N].
at::Tensor tokenKl(const at::Tensor& p_ND, const Head& pHead, const at::Tensor& q_ND, const Head& qHead);

struct TokenKlGradients {
  at::Tensor kl_N;
  StateGradients gradients;
};

/// With the gradient of Σ_n weight_n KL_n for q's states and, where `trainHead`, for q's head; p is a constant.
TokenKlGradients tokenKlGradients(const at::Tensor& p_ND, const Head& pHead, const at::Tensor& q_ND,
                                  const Head& qHead, const at::Tensor& weight_N, bool trainHead);

}  // namespace seprog
