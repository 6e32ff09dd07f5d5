#include "token_kl.h"

#include <ATen/OpMathType.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "../ops/masked_kl/masked_kl.h"

namespace seprog {
namespace {

/// Calls use(first row, weighted gradient for q's logits) block by block; without weights those logits.
template <typename Use>
at::Tensor eachBlock(const at::Tensor& p_ND, const Head& pHead, const at::Tensor& q_ND, const Head& qHead,
                     const at::Tensor* weight_N, Use&& use) {
  const int64_t n = q_ND.size(0);
  const int64_t rows = rowsWithin(kHeadElements, qHead.weight_VD.size(0));
  const auto summed = q_ND.options().dtype(at::toOpMathType(q_ND.scalar_type()));
  at::Tensor kl_N = at::empty({n}, summed);
  for (int64_t first = 0; first < n; first += rows) {
    const int64_t count = std::min(rows, n - first);
    const at::Tensor p_RV = applyHead(pHead, p_ND.narrow(0, first, count));
    const at::Tensor q_RV = applyHead(qHead, q_ND.narrow(0, first, count));
    const at::Tensor weight =
        weight_N == nullptr ? at::Tensor() : weight_N->narrow(0, first, count).to(summed.dtype());
    maskedKl(p_RV, q_RV, weight, kl_N.narrow(0, first, count));
    use(first, q_RV);
  }
  return kl_N;
}

}  // namespace

at::Tensor tokenKl(const at::Tensor& p_ND, const Head& pHead, const at::Tensor& q_ND, const Head& qHead) {
  at::NoGradGuard noGrad;
  return eachBlock(p_ND.detach(), pHead, q_ND.detach(), qHead, nullptr, [](int64_t, const at::Tensor&) {});
}

TokenKlGradients tokenKlGradients(const at::Tensor& p_ND, const Head& pHead, const at::Tensor& q_ND,
                                  const Head& qHead, const at::Tensor& weight_N, bool trainHead) {
  at::NoGradGuard noGrad;
  const at::Tensor q = q_ND.detach();
  TokenKlGradients out;
  prepareGradients(q, qHead, trainHead, out.gradients);
  out.kl_N =
      eachBlock(p_ND.detach(), pHead, q, qHead, &weight_N, [&](int64_t first, const at::Tensor& gradient_RV) {
        backThroughHead(gradient_RV, q, first, qHead, out.gradients);
      });
  return out;
}

}  // namespace seprog
