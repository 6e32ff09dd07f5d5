#include "attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include <limits>

namespace seprog {

constexpr float kHidden = std::numeric_limits<float>::lowest();

at::Tensor attend(const at::Tensor& q_BHQC, const at::Tensor& k_BHKC, const at::Tensor& v_BHKC, const at::Tensor& bias) {
  at::Tensor scores_BHQK = at::matmul(q_BHQC, k_BHKC.transpose(-1, -2));
  if (bias.defined()) scores_BHQK = scores_BHQK + bias;
  return at::matmul(at::softmax(scores_BHQK, -1), v_BHKC);
}

at::Tensor keyMask(const at::Tensor& mask_BK) {
  return at::zeros({mask_BK.size(0), 1, 1, mask_BK.size(1)}, mask_BK.options().dtype(at::kFloat))
      .masked_fill_(mask_BK.logical_not().view({mask_BK.size(0), 1, 1, -1}), kHidden);
}

at::Tensor causalMask(int64_t firstQuery, int64_t queries, int64_t keys, const at::Device& device) {
  at::Tensor mask = at::empty({1, 1, queries, keys}, at::kFloat);
  float* next = mask.mutable_data_ptr<float>();
  for (int64_t q = 0; q < queries; ++q) {
    for (int64_t k = 0; k < keys; ++k) *next++ = k <= firstQuery + q ? 0.0f : kHidden;
  }
  return mask.to(device);
}

}  // namespace seprog
