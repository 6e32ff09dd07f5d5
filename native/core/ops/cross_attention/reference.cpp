#include <ATen/core/grad_mode.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/softmax.h>

#include "cross_attention.h"

namespace seprog {

CrossAttention crossAttentionReference(const at::Tensor& q_nRH, const at::Tensor& rows_nKH, double scale,
                                       CrossAttentionWants wants) {
  const at::Tensor alpha_nRK = at::softmax(at::bmm(q_nRH, rows_nKH.transpose(1, 2)).mul(scale), -1);
  CrossAttention result;
  result.h_nRH = at::bmm(alpha_nRK, rows_nKH);
  if (wants.alpha) result.alpha_nRK = alpha_nRK.detach();
  if (wants.argmax) result.argmax_nR = alpha_nRK.detach().argmax(-1);
  return result;
}

}  // namespace seprog
