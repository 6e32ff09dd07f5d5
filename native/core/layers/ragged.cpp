#include "ragged.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/core/ivalue.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_copy.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <algorithm>
#include <cstring>

#include "../instrument/memory_role.h"
#include "../plan/planned_device.h"

namespace seprog {

RaggedLayout::RaggedLayout(const std::vector<int64_t>& lengths, int64_t columns, const at::Device& device)
    : columns_(columns), length_B_(lengths) {
  start_B_.reserve(lengths.size());
  for (const int64_t length : lengths) {
    start_B_.push_back(realCount_);
    realCount_ += length;
  }
  if (realCount_ == rows() * columns_) return;
  at::Tensor flat_N = at::empty({realCount_}, at::kLong);
  int64_t* next = flat_N.mutable_data_ptr<int64_t>();
  for (int64_t b = 0; b < rows(); ++b) {
    for (int64_t t = 0; t < lengths[b]; ++t) *next++ = b * columns_ + t;
  }
  flat_N_ = flat_N.to(device);
}

at::Tensor RaggedLayout::pack(const at::Tensor& grid) const {
  return full() ? grid : grid.index_select(0, flat_N_);
}

at::Tensor RaggedLayout::unpack(const at::Tensor& packed) const {
  if (full()) return packed;
  std::vector<int64_t> shape(packed.sizes().begin(), packed.sizes().end());
  shape[0] = rows() * columns_;
  return at::zeros(shape, packed.options()).index_copy(0, flat_N_, packed);
}

at::Tensor RaggedLayout::from(const std::vector<int64_t>& first_B, const at::Device& device) const {
  std::vector<int64_t> kept;
  for (int64_t b = 0; b < rows(); ++b) {
    for (int64_t t = first_B[b]; t < length_B_[b]; ++t) kept.push_back(start_B_[b] + t);
  }
  return at::tensor(kept, at::kLong).to(device);
}

/// The two directions between packed rows and heads on the grid; each is the other's gradient.
struct HeadMoves {
  static at::Tensor split(const RaggedLayout& layout, const at::Tensor& packed, int64_t heads) {
    const int64_t width = packed.size(1) / heads;
    if (!takesCpuKernels(packed.device())) {
      return layout.unpack(packed)
          .view({layout.rows(), layout.columns_, heads, width})
          .transpose(1, 2)
          .contiguous();
    }
    const at::Tensor source = packed.contiguous();
    const at::Tensor out = at::empty({layout.rows(), heads, layout.columns_, width}, packed.options());
    if (!holdsData(packed)) return out;
    const char* from = static_cast<const char*>(source.const_data_ptr());
    char* to = static_cast<char*>(out.mutable_data_ptr());
    const auto bytes = static_cast<size_t>(width * packed.element_size());
    eachRow(layout, heads * width, [&](int64_t b) {
      const int64_t length = layout.length_B_[b];
      for (int64_t h = 0; h < heads; ++h) {
        char* cells = to + (b * heads + h) * layout.columns_ * bytes;
        for (int64_t t = 0; t < length; ++t) {
          std::memcpy(cells + t * bytes, from + ((layout.start_B_[b] + t) * heads + h) * bytes, bytes);
        }
        std::memset(cells + length * bytes, 0, (layout.columns_ - length) * bytes);
      }
    });
    return out;
  }

  static at::Tensor merge(const RaggedLayout& layout, const at::Tensor& byHead) {
    const int64_t heads = byHead.size(1);
    const int64_t width = byHead.size(3);
    if (!takesCpuKernels(byHead.device())) {
      return layout.pack(byHead.transpose(1, 2).reshape({layout.rows() * layout.columns_, heads * width}));
    }
    const at::Tensor source = byHead.contiguous();
    const at::Tensor out = at::empty({layout.realCount_, heads * width}, byHead.options());
    if (!holdsData(byHead)) return out;
    const char* from = static_cast<const char*>(source.const_data_ptr());
    char* to = static_cast<char*>(out.mutable_data_ptr());
    const auto bytes = static_cast<size_t>(width * byHead.element_size());
    eachRow(layout, heads * width, [&](int64_t b) {
      for (int64_t h = 0; h < heads; ++h) {
        const char* cells = from + (b * heads + h) * layout.columns_ * bytes;
        for (int64_t t = 0; t < layout.length_B_[b]; ++t) {
          std::memcpy(to + ((layout.start_B_[b] + t) * heads + h) * bytes, cells + t * bytes, bytes);
        }
      }
    });
    return out;
  }

 private:
  template <typename Move>
  static void eachRow(const RaggedLayout& layout, int64_t width, Move&& move) {
    const int64_t grain = std::max<int64_t>(1, (1 << 15) / std::max<int64_t>(1, layout.columns_ * width));
    at::parallel_for(0, layout.rows(), grain, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) move(b);
    });
  }
};

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct LayoutHolder : torch::CustomClassHolder {
  explicit LayoutHolder(const RaggedLayout& value) : layout(value) {}
  RaggedLayout layout;
};

c10::IValue hold(const RaggedLayout& layout) {
  return c10::IValue::make_capsule(c10::make_intrusive<LayoutHolder>(layout));
}

const RaggedLayout held(const AutogradContext* context) {
  return static_cast<const LayoutHolder*>(context->saved_data.at("layout").toCapsule().get())->layout;
}

class SplitHeads : public torch::autograd::Function<SplitHeads> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& packed, const RaggedLayout& layout,
                            int64_t heads) {
    context->saved_data["layout"] = hold(layout);
    return HeadMoves::split(layout, packed, heads);
  }
  static variable_list backward(AutogradContext* context, variable_list above) {
    return {held(context).mergeHeads(above[0]), at::Tensor(), at::Tensor()};
  }
};

class MergeHeads : public torch::autograd::Function<MergeHeads> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& byHead, const RaggedLayout& layout) {
    context->saved_data["layout"] = hold(layout);
    context->saved_data["heads"] = byHead.size(1);
    return HeadMoves::merge(layout, byHead);
  }
  static variable_list backward(AutogradContext* context, variable_list above) {
    return {held(context).splitHeads(above[0], context->saved_data.at("heads").toInt()), at::Tensor()};
  }
};

bool recorded(const at::Tensor& tensor) { return at::GradMode::is_enabled() && tensor.requires_grad(); }

}  // namespace

at::Tensor RaggedLayout::splitHeads(const at::Tensor& packed, int64_t heads) const {
  const RoleScope kept(currentMemoryRole());  // inside a function nothing is recorded
  return recorded(packed) ? SplitHeads::apply(packed, *this, heads) : HeadMoves::split(*this, packed, heads);
}

at::Tensor RaggedLayout::mergeHeads(const at::Tensor& byHead) const {
  const RoleScope kept(currentMemoryRole());  // inside a function nothing is recorded
  return recorded(byHead) ? MergeHeads::apply(byHead, *this) : HeadMoves::merge(*this, byHead);
}

}  // namespace seprog
