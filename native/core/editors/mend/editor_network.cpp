#include "editor_network.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>

#include <utility>

namespace seprog {
namespace {

at::Tensor entry(const TensorTable& table, const std::string& name) {
  const auto found = table.find(name);
  return found == table.end() ? at::Tensor() : found->second;
}

}  // namespace

std::string blockName(size_t index) { return "block" + std::to_string(index + 1) + "."; }

EditorNetwork::EditorNetwork(const TensorTable& parameters, std::string prefix, bool residual)
    : prefix_(std::move(prefix)), residual_(residual) {
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const std::string block = prefix_ + blockName(i);
    blocks_[i] = {entry(parameters, block + "U"), entry(parameters, block + "V"),
                  entry(parameters, block + "b"), entry(parameters, block + "s"),
                  entry(parameters, block + "o")};
  }
}

at::Tensor EditorNetwork::modulated(const EditorBlock& block, int64_t mode, const at::Tensor& t_ND) const {
  if (!block.s_MD.defined()) return t_ND;
  return at::addcmul(block.o_MD.select(0, mode), t_ND, block.s_MD.select(0, mode));
}

at::Tensor EditorNetwork::forward(const at::Tensor& x_ND, int64_t mode) const {
  at::Tensor y_ND = x_ND;
  for (const EditorBlock& block : blocks_) {
    const at::Tensor t_ND = at::linear(at::linear(y_ND, block.V_RD), block.U_DR, block.b_D);
    // Where everything is 0 at first, the derivative of clamp_min is 1 and that of relu 0: nothing would ever train.
    const at::Tensor added = at::clamp_min(modulated(block, mode, t_ND), 0);
    y_ND = residual_ ? y_ND + added : added;
  }
  return y_ND;
}

at::Tensor EditorNetwork::finish(const EditorBlock& block, int64_t mode, const BlockTrace& trace) const {
  at::Tensor added = at::clamp_min(modulated(block, mode, trace.t_ND), 0);
  return residual_ ? added.add_(trace.x_ND) : added;
}

NetworkTrace EditorNetwork::trace(const at::Tensor& x_ND, int64_t mode) const {
  at::NoGradGuard noGrad;
  NetworkTrace trace;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const EditorBlock& block = blocks_[i];
    trace[i].x_ND = i == 0 ? x_ND : finish(blocks_[i - 1], mode, trace[i - 1]);
    trace[i].h_NR = at::linear(trace[i].x_ND, block.V_RD);
    trace[i].t_ND = at::linear(trace[i].h_NR, block.U_DR, block.b_D);
  }
  return trace;
}

at::Tensor EditorNetwork::result(const NetworkTrace& trace, int64_t mode) const {
  at::NoGradGuard noGrad;
  return finish(blocks_.back(), mode, trace.back());
}

void EditorNetwork::backward(const NetworkTrace& trace, int64_t mode, const at::Tensor& g_ND,
                             Gradients& sums) const {
  at::NoGradGuard noGrad;
  at::Tensor g = g_ND;
  for (size_t i = blocks_.size(); i-- > 0;) {
    const EditorBlock& block = blocks_[i];
    const BlockTrace& kept = trace[i];
    const auto sum = [&](const char* name) -> at::Tensor& { return sums.at(prefix_ + blockName(i) + name); };
    at::Tensor gt_ND = g * modulated(block, mode, kept.t_ND).ge(0);
    if (block.s_MD.defined()) {
      sum("s").select(0, mode).add_((gt_ND * kept.t_ND).sum(0));
      sum("o").select(0, mode).add_(gt_ND.sum(0));
      gt_ND.mul_(block.s_MD.select(0, mode));
    }
    sum("b").add_(gt_ND.sum(0));
    sum("U").addmm_(gt_ND.t(), kept.h_NR);
    const at::Tensor gh_NR = at::mm(gt_ND, block.U_DR);
    sum("V").addmm_(gh_NR.t(), kept.x_ND);
    if (i == 0) return;  // the factors are constants
    g = residual_ ? at::addmm(g, gh_NR, block.V_RD) : at::mm(gh_NR, block.V_RD);
  }
}

}  // namespace seprog
