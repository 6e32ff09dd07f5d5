#include <ATen/core/grad_mode.h>
#include <ATen/ops/log_softmax.h>

#include "masked_nll.h"

namespace seprog {

void maskedNllReference(const at::Tensor& logits_NV, const at::Tensor& labels_N, const at::Tensor& weight_N,
                        const RowScores& out) {
  at::NoGradGuard noGrad;
  const at::Tensor label_N1 = labels_N.unsqueeze(1);
  const at::Tensor logProb_NV = at::log_softmax(logits_NV, 1);
  out.logProb_N.copy_(logProb_NV.gather(1, label_N1).squeeze(1));
  out.argmax_N.copy_(logits_NV.argmax(1));
  if (!weight_N.defined()) return;
  const at::Tensor weight_N1 = weight_N.unsqueeze(1).to(logits_NV.scalar_type());
  logits_NV.copy_(logProb_NV.exp().mul_(weight_N1)).scatter_add_(1, label_N1, weight_N1.neg());
}

}  // namespace seprog
