// Negative log-likelihood of target tokens straight from the states in front of the head. The logits pass in
// blocks of rows and are gone again: no [N, V] tensor ever exists. N target tokens, D width, V vocabulary.
#pragma once

#include <ATen/core/Tensor.h>

#include "../models/model.h"
#include "state_gradients.h"

namespace seprog {

struct TokenLosses {
  at::Tensor logProb_N;  // ln p(y_n), float
  at::Tensor argmax_N;   // int64
};

/// Scores targets without a graph.
TokenLosses tokenNll(const at::Tensor& h_ND, const Head& head, const at::Tensor& labels_N);

struct TokenLossGradients : StateGradients {
  TokenLosses losses;
};

/// Scores targets and gives the gradient of −Σ_n weight_n ln p(y_n) for the states and, where `trainHead`,
/// for the head. Hand `h_ND` of the result to autograd as the gradient of the graph that made the states.
TokenLossGradients tokenNllGradients(const at::Tensor& h_ND, const Head& head, const at::Tensor& labels_N,
                                     const at::Tensor& weight_N, bool trainHead);

/// How many rows have no wrong target token.
int64_t countRightRows(const TokenLosses& losses, const Targets& targets);

/// The value itself; throws NON_FINITE naming the figure of a training step when it is a NaN or an infinity.
double demandFinite(double value, const char* figure);

}  // namespace seprog
