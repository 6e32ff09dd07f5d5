#include "state_gradients.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "../instrument/flops.h"
#include "../instrument/memory_role.h"
#include "../layers/narrow_linear.h"
#include "../layers/packed_weight.h"
#include "../tensor/narrow.h"
#include "../tensor/onednn_order.h"

namespace seprog {

bool isTrained(const Head& head) {
  return head.weight_VD.requires_grad() || (head.bias_V.defined() && head.bias_V.requires_grad());
}

void prepareGradients(const at::Tensor& h_ND, const Head& head, bool trainHead, StateGradients& gradients) {
  const RoleScope role(MemoryRole::Gradients);
  gradients.h_ND = at::empty_like(h_ND);
  if (!trainHead) return;
  gradients.weight_VD = at::zeros_like(head.weight_VD);
  if (head.bias_V.defined()) gradients.bias_V = at::zeros_like(head.bias_V);
}

void backThroughHead(const at::Tensor& gradient_RV, const at::Tensor& h_ND, int64_t first, const Head& head,
                     StateGradients& gradients) {
  const BackwardPass pass("head");
  const int64_t count = gradient_RV.size(0);
  at::Tensor rows_RD = gradients.h_ND.narrow(0, first, count);
  if (isNarrow(head.weight_VD)) {
    rows_RD.copy_(narrowBack(gradient_RV, head.weight_VD));
  } else if (const at::Tensor packed = packedBackOf(head.weight_VD); packed.defined()) {
    rows_RD.copy_(oneDnnLinear(gradient_RV, packed, {}));
  } else {
    at::mm_out(rows_RD, gradient_RV, head.weight_VD);
  }
  if (head.scale != 1) rows_RD.mul_(head.scale);
  if (!gradients.weight_VD.defined()) return;
  gradients.weight_VD.addmm_(gradient_RV.t(), h_ND.narrow(0, first, count), 1, head.scale);
  if (gradients.bias_V.defined()) gradients.bias_V.add_(gradient_RV.sum(0));
}

void appendHead(const Head& head, const StateGradients& gradients, std::vector<at::Tensor>& outputs,
                std::vector<at::Tensor>& outputGradients) {
  if (head.weight_VD.requires_grad()) {
    outputs.push_back(head.weight_VD);
    outputGradients.push_back(gradients.weight_VD);
  }
  if (head.bias_V.defined() && head.bias_V.requires_grad()) {
    outputs.push_back(head.bias_V);
    outputGradients.push_back(gradients.bias_V);
  }
}

int64_t rowsWithin(int64_t elements, int64_t columns) {
  const int64_t rows = elements / std::max<int64_t>(1, columns);
  return std::max<int64_t>(1, rows / kRowGranule) * kRowGranule;
}

}  // namespace seprog
