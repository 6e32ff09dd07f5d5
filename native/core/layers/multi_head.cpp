#include "multi_head.h"

#include <ATen/TensorOperators.h>

#include <cmath>

#include "attention.h"
#include "linear.h"

namespace seprog {

KeysValues MultiHead::keysValues(const Scope& scope, const at::Tensor& x_ND,
                                 const RaggedLayout& layout) const {
  return {layout.splitHeads(biasedLinear(scope, names_.key, x_ND), heads_),
          layout.splitHeads(biasedLinear(scope, names_.value, x_ND), heads_)};
}

at::Tensor MultiHead::attention(const Scope& scope, const at::Tensor& x_ND, const RaggedLayout& layout,
                                const KeysValues& seen, const at::Tensor& bias) const {
  const at::Tensor q_BHQC = layout.splitHeads(biasedLinear(scope, names_.query, x_ND), heads_);
  const double scale = 1 / std::sqrt(static_cast<double>(q_BHQC.size(3)));
  return biasedLinear(scope, names_.output,
                      layout.mergeHeads(attend(q_BHQC * scale, seen.k_BHKC, seen.v_BHKC, bias)));
}

}  // namespace seprog
