#include "losses.h"

#include <ATen/OpMathType.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "../error.h"
#include "../ops/masked_nll/masked_nll.h"

namespace seprog {
namespace {

/// Calls use(first row, logits of the block) block by block.
template <typename Use>
TokenLosses eachBlock(const at::Tensor& h_ND, const Head& head, const at::Tensor& labels_N,
                      const at::Tensor* weight_N, Use&& use) {
  const int64_t n = h_ND.size(0);
  const int64_t rows = rowsWithin(kHeadElements, head.weight_VD.size(0));
  const auto summed = h_ND.options().dtype(at::toOpMathType(h_ND.scalar_type()));
  const TokenLosses losses = {at::empty({n}, summed), at::empty({n}, labels_N.options())};
  for (int64_t first = 0; first < n; first += rows) {
    const int64_t count = std::min(rows, n - first);
    const at::Tensor logits_RV = applyHead(head, h_ND.narrow(0, first, count));
    const at::Tensor weight =
        weight_N == nullptr ? at::Tensor() : weight_N->narrow(0, first, count).to(summed.dtype());
    maskedNll(logits_RV, labels_N.narrow(0, first, count), weight,
              {losses.logProb_N.narrow(0, first, count), losses.argmax_N.narrow(0, first, count)});
    use(first, logits_RV);
  }
  return losses;
}

}  // namespace

TokenLosses tokenNll(const at::Tensor& h_ND, const Head& head, const at::Tensor& labels_N) {
  at::NoGradGuard noGrad;
  return eachBlock(h_ND.detach(), head, labels_N, nullptr, [](int64_t, const at::Tensor&) {});
}

TokenLossGradients tokenNllGradients(const at::Tensor& h_ND, const Head& head, const at::Tensor& labels_N,
                                     const at::Tensor& weight_N, bool trainHead) {
  at::NoGradGuard noGrad;
  const at::Tensor h = h_ND.detach();
  TokenLossGradients out;
  prepareGradients(h, head, trainHead, out);
  out.losses = eachBlock(h, head, labels_N, &weight_N, [&](int64_t first, const at::Tensor& gradient_RV) {
    backThroughHead(gradient_RV, h, first, head, out);
  });
  return out;
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
