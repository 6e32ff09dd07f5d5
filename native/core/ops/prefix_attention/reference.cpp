#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>

#include <limits>

#include "prefix_attention.h"

namespace seprog {

at::Tensor prefixAttentionReference(const at::Tensor& q_RD, const at::Tensor& k_ND, const at::Tensor& v_ND,
                                    const Spans& spans, int64_t heads, double scale,
                                    const at::Tensor& bias_HT) {
  if (spans.longest == 0) return at::zeros(q_RD.sizes(), q_RD.options());
  const int64_t R = q_RD.size(0), T = spans.longest, C = q_RD.size(1) / heads;
  const at::Tensor step_T = at::arange(T, spans.first_R.options());
  const at::Tensor hidden_RT = step_T.unsqueeze(0).ge(spans.count_R.unsqueeze(1));
  const at::Tensor place_RT = (spans.first_R.unsqueeze(1) + step_T).masked_fill(hidden_RT, 0);
  const auto seen = [&](const at::Tensor& packed_ND) {
    return packed_ND.index_select(0, place_RT.view({-1})).view({R, T, heads, C});
  };
  // Products and sums by themselves: a matrix product of few rows takes another path than one of many.
  const at::Tensor q_R1HC = q_RD.reshape({R, 1, heads, C});
  at::Tensor score_RTH = (q_R1HC * seen(k_ND)).sum(-1) * scale;
  if (bias_HT.defined()) score_RTH = score_RTH + bias_HT.t();
  const at::Tensor hidden_RT1 = hidden_RT.unsqueeze(2);
  const at::Tensor p_RTH =
      at::softmax(score_RTH.masked_fill(hidden_RT1, -std::numeric_limits<float>::infinity()), 1)
          .masked_fill(hidden_RT1, 0);
  return (p_RTH.unsqueeze(3) * seen(v_ND)).sum(1).view({R, heads * C});
}

}  // namespace seprog
