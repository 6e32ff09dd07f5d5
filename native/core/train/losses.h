// Negative log-likelihood of target tokens straight from the states in front of the head. The logits pass in
// blocks of rows and are gone again: no [N, V] tensor ever exists. N target tokens, D width, V vocabulary.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "../models/model.h"

namespace seprog {

struct TokenLosses {
  at::Tensor logProb_N;  // ln p(y_n), float
  at::Tensor argmax_N;   // int64
};

/// Scores targets without a graph.
TokenLosses tokenNll(const at::Tensor& h_ND, const Head& head, const at::Tensor& labels_N);

struct TokenLossGradients {
  TokenLosses losses;
  at::Tensor h_ND;
  at::Tensor weight_VD;  // undefined unless the head is trained
  at::Tensor bias_V;     // undefined unless the head is trained and has one
};

/// Scores targets and gives the gradient of −Σ_n weight_n ln p(y_n) for the states and, where `trainHead`,
/// for the head. Hand `h_ND` of the result to autograd as the gradient of the graph that made the states.
TokenLossGradients tokenNllGradients(const at::Tensor& h_ND, const Head& head, const at::Tensor& labels_N,
                                     const at::Tensor& weight_N, bool trainHead);

bool isTrained(const Head& head);
/// Appends the head and its gradients to what autograd starts from: a trained head takes part as an output of
/// its own, because its weight may be the embedding table as well.
void appendHead(const Head& head, const TokenLossGradients& token, std::vector<at::Tensor>& outputs,
                std::vector<at::Tensor>& outputGradients);

/// How many rows have no wrong target token.
int64_t countRightRows(const TokenLosses& losses, const Targets& targets);

/// The value itself; throws NON_FINITE naming the figure of a training step when it is a NaN or an infinity.
double demandFinite(double value, const char* figure);

}  // namespace seprog
