#include "kv_cache.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "../instrument/memory_role.h"

namespace seprog {
namespace {

at::Tensor grown(const at::Tensor& old, const at::Tensor& like, int64_t capacity, int64_t length) {
  const RoleScope role(MemoryRole::KvCache);
  at::Tensor out = at::empty({like.size(0), like.size(1), capacity, like.size(3)}, like.options());
  if (length > 0) out.narrow(2, 0, length).copy_(old.narrow(2, 0, length));
  return out;
}

}  // namespace

void KvCache::reserve(const at::Tensor& like, int64_t length) {
  if (k_.defined() && k_.size(2) >= length) return;
  const int64_t capacity = std::max<int64_t>(length, k_.defined() ? 2 * k_.size(2) : length + 8);
  k_ = grown(k_, like, capacity, length_);
  v_ = grown(v_, like, capacity, length_);
}

void KvCache::append(const at::Tensor& k_RHTC, const at::Tensor& v_RHTC) {
  const int64_t added = k_RHTC.size(2);
  reserve(k_RHTC, length_ + added);
  k_.narrow(2, length_, added).copy_(k_RHTC);
  v_.narrow(2, length_, added).copy_(v_RHTC);
  length_ += added;
}

void KvCache::keep(const at::Tensor& rows_R) {
  if (!k_.defined()) return;
  const RoleScope role(MemoryRole::KvCache);
  k_ = k_.index_select(0, rows_R);
  v_ = v_.index_select(0, rows_R);
}

}  // namespace seprog
