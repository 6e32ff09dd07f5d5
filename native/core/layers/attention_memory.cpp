#include "attention_memory.h"

#include <ATen/TensorOperators.h>

#include "attention.h"

namespace seprog {

at::Tensor readMemory(const at::Tensor& q_ND, int64_t heads, double scale, const GridMemory& memory) {
  const at::Tensor q_BHQC = memory.queries.splitHeads(q_ND, heads);
  return memory.queries.mergeHeads(
      attend(scale == 1 ? q_BHQC : q_BHQC * scale, memory.seen.k_BHKC, memory.seen.v_BHKC, memory.bias));
}

at::Tensor readMemory(const at::Tensor& q_RD, int64_t heads, double scale, const SpanMemory& memory) {
  return prefixAttention(q_RD, memory.seen.k_ND, memory.seen.v_ND, memory.spans, heads, scale,
                         memory.bias_HT);
}

}  // namespace seprog
