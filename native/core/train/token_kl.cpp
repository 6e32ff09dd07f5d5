#include "token_kl.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/log_softmax.h>

#include <algorithm>

namespace seprog {
namespace {

/// Calls use(first row, weightless gradient q − p) block by block.
template <typename Use>
at::Tensor eachBlock(const at::Tensor& p_ND, const Head& pHead, const at::Tensor& q_ND, const Head& qHead,
                     Use&& use) {
  const int64_t n = q_ND.size(0);
  const int64_t rows = rowsWithin(kHeadElements, qHead.weight_VD.size(0));
  at::Tensor kl_N = at::empty({n}, q_ND.options());
  for (int64_t first = 0; first < n; first += rows) {
    const int64_t count = std::min(rows, n - first);
    const at::Tensor logP_RV = at::log_softmax(applyHead(pHead, p_ND.narrow(0, first, count)), 1);
    const at::Tensor logQ_RV = at::log_softmax(applyHead(qHead, q_ND.narrow(0, first, count)), 1);
    const at::Tensor p_RV = logP_RV.exp();
    const at::Tensor apart_RV = logQ_RV.exp() - p_RV;
    // Σ (q − p) is 0 but for rounding: the same rounding of the two normalisers that would show in a small divergence.
    kl_N.narrow(0, first, count).copy_((p_RV * (logP_RV - logQ_RV) + apart_RV).sum(1));
    use(first, apart_RV);
  }
  return kl_N;
}

}  // namespace

at::Tensor tokenKl(const at::Tensor& p_ND, const Head& pHead, const at::Tensor& q_ND, const Head& qHead) {
  at::NoGradGuard noGrad;
  return eachBlock(p_ND.detach(), pHead, q_ND.detach(), qHead, [](int64_t, const at::Tensor&) {});
}

TokenKlGradients tokenKlGradients(const at::Tensor& p_ND, const Head& pHead, const at::Tensor& q_ND,
                                  const Head& qHead, const at::Tensor& weight_N, bool trainHead) {
  at::NoGradGuard noGrad;
  const at::Tensor q = q_ND.detach();
  TokenKlGradients out;
  prepareGradients(q, qHead, trainHead, out.gradients);
  out.kl_N = eachBlock(p_ND.detach(), pHead, q, qHead, [&](int64_t first, const at::Tensor& apart_RV) {
    const at::Tensor weight_R1 = weight_N.narrow(0, first, apart_RV.size(0)).unsqueeze(1);
    backThroughHead(apart_RV * weight_R1, q, first, qHead, out.gradients);
  });
  return out;
}

}  // namespace seprog
