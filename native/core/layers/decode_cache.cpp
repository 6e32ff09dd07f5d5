#include "decode_cache.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "../instrument/memory_role.h"
#include "../plan/planned_device.h"

namespace seprog {
namespace {

constexpr int64_t kRoom = 8;  // positions beyond the first pass

at::Tensor toDevice(const std::vector<int64_t>& numbers, const at::Device& device) {
  return at::tensor(numbers, at::kLong).to(device);
}

/// Puts packed rows where `places` says.
void write(const at::Tensor& from_ND, const at::Tensor& place_N, const at::Tensor& to_ND) {
  if (!takesCpuKernels(from_ND.device())) {
    to_ND.index_copy_(0, place_N, from_ND);
    return;
  }
  if (!holdsData(from_ND)) return;
  const at::Tensor rows_ND = from_ND.stride(1) == 1 ? from_ND : from_ND.contiguous();
  const int64_t element = rows_ND.element_size();
  const int64_t bytes = rows_ND.size(1) * element, stride = rows_ND.stride(0) * element;
  const auto* from = static_cast<const char*>(rows_ND.const_data_ptr());
  auto* to = static_cast<char*>(to_ND.mutable_data_ptr());
  const int64_t* place = place_N.const_data_ptr<int64_t>();
  for (int64_t n = 0; n < rows_ND.size(0); ++n) std::memcpy(to + place[n] * bytes, from + n * stride, bytes);
}

}  // namespace

DecodeCache::DecodeCache(int64_t layers, int64_t rows, const at::Device& device)
    : device_(device), seen_(layers), slots_(rows), slot_R_(rows), count_R_(rows, 0) {
  std::iota(slot_R_.begin(), slot_R_.end(), 0);
}

void DecodeCache::extend(const std::vector<int64_t>& added_R) {
  std::vector<int64_t> from_R(count_R_);
  for (size_t r = 0; r < added_R.size(); ++r) count_R_[r] += added_R[r];
  const int64_t longest = count_R_.empty() ? 0 : *std::max_element(count_R_.begin(), count_R_.end());
  if (longest > capacity_) grow(capacity_ == 0 ? longest + kRoom : std::max(longest, 2 * capacity_), from_R);
  std::vector<int64_t> first_R, place_N;
  for (size_t r = 0; r < added_R.size(); ++r) {
    first_R.push_back(slot_R_[r] * capacity_);
    for (int64_t t = from_R[r]; t < count_R_[r]; ++t) place_N.push_back(first_R[r] + t);
  }
  place_N_ = toDevice(place_N, device_);
  spans_ = {toDevice(first_R, device_), toDevice(count_R_, device_), longest};
}

/// Moves the live rows together and gives each more room; `count_R` positions of them are filled.
void DecodeCache::grow(int64_t capacity, const std::vector<int64_t>& count_R) {
  std::vector<int64_t> from_N, to_N;
  for (size_t r = 0; r < slot_R_.size(); ++r) {
    for (int64_t t = 0; t < count_R[r]; ++t) {
      from_N.push_back(slot_R_[r] * capacity_ + t);
      to_N.push_back(static_cast<int64_t>(r) * capacity + t);
    }
  }
  slots_ = static_cast<int64_t>(slot_R_.size());
  std::iota(slot_R_.begin(), slot_R_.end(), 0);
  capacity_ = capacity;
  const RoleScope role(MemoryRole::KvCache);
  const at::Tensor from = toDevice(from_N, device_), to = toDevice(to_N, device_);
  for (PackedKeysValues& layer : seen_) {
    for (at::Tensor* side : {&layer.k_ND, &layer.v_ND}) {
      if (!side->defined()) continue;
      const at::Tensor wider = at::empty({slots_ * capacity_, side->size(1)}, side->options());
      write(side->index_select(0, from), to, wider);
      *side = wider;
    }
  }
}

void DecodeCache::append(int64_t layer, const PackedKeysValues& fresh) {
  PackedKeysValues& seen = seen_[layer];
  if (!seen.k_ND.defined()) {
    const RoleScope role(MemoryRole::KvCache);
    seen.k_ND = at::empty({slots_ * capacity_, fresh.k_ND.size(1)}, fresh.k_ND.options());
    seen.v_ND = at::empty({slots_ * capacity_, fresh.v_ND.size(1)}, fresh.v_ND.options());
  }
  write(fresh.k_ND, place_N_, seen.k_ND);
  write(fresh.v_ND, place_N_, seen.v_ND);
}

void DecodeCache::keep(const at::Tensor& rows_S) {
  const at::Tensor onCpu_S = rows_S.to(at::kCPU).contiguous();
  std::vector<int64_t> slot_S, count_S;
  for (int64_t s = 0; s < onCpu_S.size(0); ++s) {
    const int64_t row = onCpu_S.const_data_ptr<int64_t>()[s];
    slot_S.push_back(slot_R_[row]);
    count_S.push_back(count_R_[row]);
  }
  slot_R_ = std::move(slot_S);
  count_R_ = std::move(count_S);
  spans_ = spans_.select(rows_S);
}

}  // namespace seprog
