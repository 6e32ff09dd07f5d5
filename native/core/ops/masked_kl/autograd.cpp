// The public entries: checks, the choice of kernels, and the fused gradient inside libtorch's graph.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/softmax.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <sstream>

#include "../../error.h"
#include "../../instrument/memory_role.h"
#include "fused.h"

namespace seprog {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::TensorOptions floatsOn(const at::Tensor& x) { return x.options().dtype(at::kFloat); }

void checkShapes(const at::Tensor& p_NV, const at::Tensor& q_NV) {
  if (p_NV.dim() == 2 && p_NV.sizes() == q_NV.sizes() && p_NV.size(1) > 0) return;
  std::ostringstream received;
  received << p_NV.sizes() << " and " << q_NV.sizes();
  fail(ErrorCode::ShapeMismatch,
       "expected the logits of two models of one vocabulary for `maskedKl` but received " + received.str());
}

struct Function : torch::autograd::Function<Function> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q_NV, const at::Tensor& p_NV,
                            Path path) {
    context->save_for_backward({q_NV, p_NV});
    context->saved_data["path"] = static_cast<int64_t>(path);
    const at::Tensor kl_N = at::empty({q_NV.size(0)}, floatsOn(q_NV));
    masked_kl::run(path, p_NV, q_NV, {}, kl_N);
    return kl_N.to(q_NV.scalar_type());
  }

  static variable_list backward(AutogradContext* context, const variable_list& outputGradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &q_NV = saved[0], &p_NV = saved[1], &weight_N = outputGradients[0];
    if (at::GradMode::is_enabled()) {  // a graph is asked for
      return {
          torch::autograd::grad({maskedKlReference(p_NV, q_NV)}, {q_NV}, {weight_N}, true, true)[0], {}, {}};
    }
    const at::Tensor gradient_NV = q_NV.clone();
    masked_kl::run(static_cast<Path>(context->saved_data["path"].toInt()), p_NV, gradient_NV,
                   weight_N.to(at::kFloat).contiguous(), at::empty({q_NV.size(0)}, floatsOn(q_NV)));
    return {gradient_NV, {}, {}};
  }
};

}  // namespace

void maskedKl(const at::Tensor& p_NV, const at::Tensor& q_NV, const at::Tensor& weight_N,
              const at::Tensor& kl_N) {
  checkShapes(p_NV, q_NV);
  at::NoGradGuard noGrad;
  const auto isPlain = [](const at::Tensor& x) {
    return !x.defined() || (x.is_contiguous() && x.scalar_type() == at::kFloat);
  };
  const bool isRow = p_NV.is_contiguous() && q_NV.is_contiguous() && isPlain(weight_N) && isPlain(kl_N);
  const Path path = isRow ? masked_kl::pathOf(p_NV, q_NV) : Path::Reference;
  if (path != Path::Reference) return masked_kl::run(path, p_NV, q_NV, weight_N, kl_N);
  kl_N.copy_(maskedKlReference(p_NV, q_NV));
  if (!weight_N.defined()) return;
  const at::Tensor P_NV = at::softmax(p_NV, 1);
  q_NV.copy_(at::softmax(q_NV, 1).sub_(P_NV).mul_(weight_N.unsqueeze(1)));
}

at::Tensor maskedKl(const at::Tensor& p_NV, const at::Tensor& q_NV) {
  checkShapes(p_NV, q_NV);
  const Path path = masked_kl::pathOf(p_NV, q_NV);
  if (path == Path::Reference) return maskedKlReference(p_NV, q_NV);
  const RoleScope kept(currentMemoryRole());  // inside a function nothing is recorded
  return Function::apply(q_NV.contiguous(), p_NV.detach().contiguous(), path);
}

}  // namespace seprog
