#include "losses.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/log.h>
#include <ATen/ops/max.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "../error.h"
#include "../layers/linear.h"

namespace seprog {
namespace {

// Logits that exist at a time, 16 MiB of floats: products stay large enough to run at full speed.
constexpr int64_t kHeadElements = 1 << 22;
// Logits that one element-wise pass covers, 1 MiB of floats: about a core's second-level cache.
constexpr int64_t kCacheElements = 1 << 18;

int64_t rowsWithin(int64_t elements, int64_t columns) {
  const int64_t rows = elements / std::max<int64_t>(1, columns);
  return std::max<int64_t>(1, rows / kRowGranule) * kRowGranule;
}

/// Scores the block's rows into `out` and destroys the logits; with `weight_N` they become weight ⊙ (softmax
/// − one-hot).
void scoreBlock(const at::Tensor& logits_NV, const at::Tensor& labels_N, const at::Tensor* weight_N,
                const TokenLosses& out) {
  const int64_t rows = rowsWithin(kCacheElements, logits_NV.size(1));
  for (int64_t first = 0; first < logits_NV.size(0); first += rows) {
    const int64_t count = std::min(rows, logits_NV.size(0) - first);
    at::Tensor part = logits_NV.narrow(0, first, count);
    const at::Tensor labels = labels_N.narrow(0, first, count).unsqueeze(1);
    const auto [maximum, argmax] = at::max(part, 1, true);
    const at::Tensor atLabel = part.gather(1, labels);
    part.sub_(maximum).exp_();
    const at::Tensor sum = part.sum(1, true);
    out.logProb_N.narrow(0, first, count).copy_(atLabel.sub_(maximum).sub_(at::log(sum)).squeeze(1));
    out.argmax_N.narrow(0, first, count).copy_(argmax.squeeze(1));
    if (weight_N != nullptr) {
      const at::Tensor weight = weight_N->narrow(0, first, count).unsqueeze(1);
      part.mul_(weight.div(sum)).scatter_add_(1, labels, weight.neg());
    }
  }
}

/// Calls use(first row, rows, logits of them) block by block.
template <typename Use>
TokenLosses eachBlock(const at::Tensor& h_ND, const Head& head, const at::Tensor& labels_N,
                      const at::Tensor* weight_N, Use&& use) {
  const int64_t n = h_ND.size(0);
  const int64_t rows = rowsWithin(kHeadElements, head.weight_VD.size(0));
  const TokenLosses losses = {at::empty({n}, h_ND.options()), at::empty({n}, labels_N.options())};
  for (int64_t first = 0; first < n; first += rows) {
    const int64_t count = std::min(rows, n - first);
    const at::Tensor logits_RV = applyHead(head, h_ND.narrow(0, first, count));
    const at::Tensor weight = weight_N == nullptr ? at::Tensor() : weight_N->narrow(0, first, count);
    scoreBlock(logits_RV, labels_N.narrow(0, first, count), weight_N == nullptr ? nullptr : &weight,
               {losses.logProb_N.narrow(0, first, count), losses.argmax_N.narrow(0, first, count)});
    use(first, count, logits_RV);
  }
  return losses;
}

}  // namespace

TokenLosses tokenNll(const at::Tensor& h_ND, const Head& head, const at::Tensor& labels_N) {
  at::NoGradGuard noGrad;
  return eachBlock(h_ND.detach(), head, labels_N, nullptr, [](int64_t, int64_t, const at::Tensor&) {});
}

TokenLossGradients tokenNllGradients(const at::Tensor& h_ND, const Head& head, const at::Tensor& labels_N,
                                     const at::Tensor& weight_N, bool trainHead) {
  at::NoGradGuard noGrad;
  const at::Tensor h = h_ND.detach();
  TokenLossGradients out;
  out.h_ND = at::empty_like(h);
  if (trainHead) {
    out.weight_VD = at::zeros_like(head.weight_VD);
    if (head.bias_V.defined()) out.bias_V = at::zeros_like(head.bias_V);
  }
  out.losses = eachBlock(h, head, labels_N, &weight_N,
                         [&](int64_t first, int64_t count, const at::Tensor& gradient_RV) {
                           at::Tensor rows_RD = out.h_ND.narrow(0, first, count);
                           at::mm_out(rows_RD, gradient_RV, head.weight_VD);
                           if (trainHead) {
                             out.weight_VD.addmm_(gradient_RV.t(), h.narrow(0, first, count), 1, head.scale);
                             if (out.bias_V.defined()) out.bias_V.add_(gradient_RV.sum(0));
                           }
                         });
  if (head.scale != 1) out.h_ND.mul_(head.scale);
  return out;
}

bool isTrained(const Head& head) {
  return head.weight_VD.requires_grad() || (head.bias_V.defined() && head.bias_V.requires_grad());
}

void appendHead(const Head& head, const TokenLossGradients& token, std::vector<at::Tensor>& outputs,
                std::vector<at::Tensor>& outputGradients) {
  if (head.weight_VD.requires_grad()) {
    outputs.push_back(head.weight_VD);
    outputGradients.push_back(token.weight_VD);
  }
  if (head.bias_V.defined() && head.bias_V.requires_grad()) {
    outputs.push_back(head.bias_V);
    outputGradients.push_back(token.bias_V);
  }
}

int64_t countRightRows(const TokenLosses& losses, const Targets& targets) {
  const at::Tensor wrong_N = losses.argmax_N.ne(targets.labels_N).to(at::kLong);
  const at::Tensor wrong_B =
      at::zeros({targets.tokens.rows()}, wrong_N.options()).index_add_(0, targets.rowOf_N, wrong_N);
  return wrong_B.eq(0).sum().item<int64_t>();
}

double demandFinite(double value, const char* figure) {
  if (!std::isfinite(value)) {
    fail(ErrorCode::NonFinite,
         std::string("expected a finite number for `") + figure + "` but received " + std::to_string(value) +
             "; nothing was updated. A lower learning rate or a look at the data may help");
  }
  return value;
}

}  // namespace seprog
