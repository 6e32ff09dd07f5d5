#include "ragged.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/index_copy.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/zeros.h>

namespace seprog {

RaggedLayout::RaggedLayout(const std::vector<int64_t>& lengths, int64_t columns, const at::Device& device)
    : rows_(static_cast<int64_t>(lengths.size())), columns_(columns) {
  for (const int64_t length : lengths) realCount_ += length;
  if (realCount_ == rows_ * columns_) return;
  at::Tensor flat_N = at::empty({realCount_}, at::kLong);
  int64_t* next = flat_N.mutable_data_ptr<int64_t>();
  for (int64_t b = 0; b < rows_; ++b) {
    for (int64_t t = 0; t < lengths[b]; ++t) *next++ = b * columns_ + t;
  }
  flat_N_ = flat_N.to(device);
}

at::Tensor RaggedLayout::pack(const at::Tensor& grid) const { return full() ? grid : grid.index_select(0, flat_N_); }

at::Tensor RaggedLayout::unpack(const at::Tensor& packed) const {
  if (full()) return packed;
  std::vector<int64_t> shape(packed.sizes().begin(), packed.sizes().end());
  shape[0] = rows_ * columns_;
  return at::zeros(shape, packed.options()).index_copy(0, flat_N_, packed);
}

at::Tensor RaggedLayout::splitHeads(const at::Tensor& packed, int64_t heads) const {
  return unpack(packed).view({rows_, columns_, heads, -1}).transpose(1, 2);
}

at::Tensor RaggedLayout::mergeHeads(const at::Tensor& byHead) const {
  return pack(byHead.transpose(1, 2).reshape({rows_ * columns_, -1}));
}

}  // namespace seprog
