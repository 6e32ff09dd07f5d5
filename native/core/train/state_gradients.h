// The gradient of a loss over logits for what stands in front of them: the states, and the head where it is trained.
// N target tokens, R rows of a block, D width, V vocabulary.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "../layers/linear.h"

namespace seprog {

struct StateGradients {
  at::Tensor h_ND;
  at::Tensor weight_VD;  // undefined unless the head is trained
  at::Tensor bias_V;     // undefined unless the head is trained and has one
};

bool isTrained(const Head& head);

/// Room for the gradients of `h_ND` and, where `trainHead`, zeros for those of the head.
void prepareGradients(const at::Tensor& h_ND, const Head& head, bool trainHead, StateGradients& gradients);
/// Takes the logits' gradients of rows first … first+R−1 back through the head.
void backThroughHead(const at::Tensor& gradient_RV, const at::Tensor& h_ND, int64_t first, const Head& head,
                     StateGradients& gradients);

/// Appends the head and its gradients to what autograd starts from: a trained head takes part as an output of
/// its own, because its weight may be the embedding table as well.
void appendHead(const Head& head, const StateGradients& gradients, std::vector<at::Tensor>& outputs,
                std::vector<at::Tensor>& outputGradients);

/// Rows of a block of `elements` numbers, whole granules (layers/linear.h), at least one.
int64_t rowsWithin(int64_t elements, int64_t columns);
/// Logits that exist at a time, 16 MiB of floats: products stay large enough to run at full speed.
constexpr int64_t kHeadElements = 1 << 22;

}  // namespace seprog
