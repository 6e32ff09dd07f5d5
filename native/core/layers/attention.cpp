#include "attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_softmax_backward_data.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "../instrument/memory_role.h"
#include "linear.h"

namespace seprog {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr float kHidden = std::numeric_limits<float>::lowest();

/// softmax(q kᵀ + bias) in the memory of the scores.
at::Tensor probabilities(const at::Tensor& q_BHQC, const at::Tensor& k_BHKC, const at::Tensor& bias) {
  at::Tensor p_BHQK = at::matmul(q_BHQC, k_BHKC.transpose(-1, -2));
  if (bias.defined()) p_BHQK.add_(bias);
  at::softmax_out(p_BHQK, p_BHQK, -1);
  return p_BHQK;
}

/// The same rows and zeros behind them.
at::Tensor withRows(const at::Tensor& some, int64_t rows) {
  std::vector<int64_t> shape(some.sizes().begin(), some.sizes().end());
  shape[0] = rows;
  at::Tensor all = at::zeros(shape, some.options());
  all.narrow(0, 0, some.size(0)).copy_(some);
  return all;
}

/// Keeps q, k, v and the probabilities; everything else lives in place.
class Attention : public torch::autograd::Function<Attention> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q_BHQC, const at::Tensor& k_BHKC,
                            const at::Tensor& v_BHKC, const std::optional<at::Tensor>& given) {
    const at::Tensor bias = given.value_or(at::Tensor());
    const at::Tensor p_BHQK = probabilities(q_BHQC, k_BHKC, bias);
    context->save_for_backward({q_BHQC, k_BHKC, v_BHKC, bias, p_BHQK});
    return at::matmul(p_BHQK, v_BHKC);
  }

  static variable_list backward(AutogradContext* context, variable_list above) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& g_BHQC = above[0];
    const at::Tensor& q_BHQC = saved[0];
    const at::Tensor& k_BHKC = saved[1];
    const at::Tensor& v_BHKC = saved[2];
    const at::Tensor& bias = saved[3];
    at::Tensor p_BHQK = saved[4];
    const bool again = at::GradMode::is_enabled();
    if (again) {  // a graph of the gradient was asked for: from the inputs on, in plain operations
      at::Tensor scores_BHQK = at::matmul(q_BHQC, k_BHKC.transpose(-1, -2));
      if (bias.defined()) scores_BHQK = scores_BHQK + bias;
      p_BHQK = at::softmax(scores_BHQK, -1);
    }
    at::Tensor dq, dk, dv, dBias;
    if (context->needs_input_grad(2)) dv = at::matmul(p_BHQK.transpose(-1, -2), g_BHQC);
    const bool wantBias = bias.defined() && context->needs_input_grad(3);
    if (context->needs_input_grad(0) || context->needs_input_grad(1) || wantBias) {
      at::Tensor ds_BHQK = at::matmul(g_BHQC, v_BHKC.transpose(-1, -2));
      if (again) {
        ds_BHQK = p_BHQK * (ds_BHQK - (p_BHQK * ds_BHQK).sum(-1, true));
      } else {
        at::_softmax_backward_data_out(ds_BHQK, ds_BHQK, p_BHQK, -1, p_BHQK.scalar_type());
      }
      if (context->needs_input_grad(0)) dq = at::matmul(ds_BHQK, k_BHKC);
      if (context->needs_input_grad(1)) dk = at::matmul(ds_BHQK.transpose(-1, -2), q_BHQC);
      if (wantBias) dBias = ds_BHQK.sum_to_size(bias.sizes());
    }
    return {dq, dk, dv, dBias};
  }
};

}  // namespace

at::Tensor attend(const at::Tensor& q_BHQC, const at::Tensor& k_BHKC, const at::Tensor& v_BHKC,
                  const at::Tensor& bias) {
  const bool recorded =
      at::GradMode::is_enabled() && (q_BHQC.requires_grad() || k_BHKC.requires_grad() ||
                                     v_BHKC.requires_grad() || (bias.defined() && bias.requires_grad()));
  if (recorded) {
    const RoleScope kept(currentMemoryRole());  // inside a function nothing is recorded
    return Attention::apply(q_BHQC, k_BHKC, v_BHKC,
                            bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt);
  }
  // A small product takes another path than a large one: rows are added so that a row's bits do not depend on
  // how many stand beside it (see projectRows()).
  const int64_t rows = q_BHQC.size(0);
  const int64_t perRow = std::max<int64_t>(1, q_BHQC.numel() / std::max<int64_t>(1, rows) * k_BHKC.size(2));
  const int64_t enough = kSmallProduct / perRow + 1;
  if (rows >= enough) return at::matmul(probabilities(q_BHQC, k_BHKC, bias), v_BHKC);
  const at::Tensor wide = bias.defined() && bias.size(0) == rows && rows > 1 ? withRows(bias, enough) : bias;
  return at::matmul(probabilities(withRows(q_BHQC, enough), withRows(k_BHKC, enough), wide),
                    withRows(v_BHKC, enough))
      .narrow(0, 0, rows);
}

at::Tensor keyMask(const at::Tensor& mask_BK) {
  return at::zeros({mask_BK.size(0), 1, 1, mask_BK.size(1)}, mask_BK.options().dtype(at::kFloat))
      .masked_fill_(mask_BK.logical_not().view({mask_BK.size(0), 1, 1, -1}), kHidden);
}

at::Tensor causalMask(int64_t firstQuery, int64_t queries, int64_t keys, const at::Device& device) {
  return causalMask(std::vector<int64_t>{firstQuery}, queries, keys, device);
}

at::Tensor causalMask(const std::vector<int64_t>& firstQuery_B, int64_t queries, int64_t keys,
                      const at::Device& device) {
  at::Tensor mask = at::empty({static_cast<int64_t>(firstQuery_B.size()), 1, queries, keys}, at::kFloat);
  float* next = mask.mutable_data_ptr<float>();
  for (const int64_t first : firstQuery_B) {
    for (int64_t q = 0; q < queries; ++q) {
      for (int64_t k = 0; k < keys; ++k) *next++ = k <= first + q ? 0.0f : kHidden;
    }
  }
  return mask.to(device);
}

}  // namespace seprog
