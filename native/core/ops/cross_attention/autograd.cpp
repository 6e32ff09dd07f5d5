// The public entry: checks, the choice of kernels, and the fused backward inside libtorch's graph.
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <sstream>
#include <utility>

#include "../../error.h"
#include "../../instrument/memory_role.h"
#include "fused.h"

namespace seprog {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// The gradients as a graph of their own: those of the reference, recorded.
variable_list differentiable(const at::Tensor& q_nRH, const at::Tensor& rows_nKH, double scale,
                             const at::Tensor& dh_nRH) {
  const at::Tensor h_nRH = crossAttentionReference(q_nRH, rows_nKH, scale).h_nRH;
  variable_list inputs;
  for (const at::Tensor& input : {q_nRH, rows_nKH}) {
    if (input.requires_grad()) inputs.push_back(input);
  }
  variable_list found = torch::autograd::grad({h_nRH}, inputs, {dh_nRH}, true, true);
  if (!q_nRH.requires_grad()) found.insert(found.begin(), at::Tensor());
  if (!rows_nKH.requires_grad()) found.emplace_back();
  return found;
}

struct Function : torch::autograd::Function<Function> {
  /// α and arg-max, which are no part of the graph, go to `aside`.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q_nRH, const at::Tensor& rows_nKH,
                            double scale, CrossAttentionWants wants, Path path, CrossAttention* aside) {
    cross_attention::Forward made = cross_attention::forward(path, q_nRH, rows_nKH, scale, wants);
    context->save_for_backward({q_nRH, rows_nKH, made.result.h_nRH, made.logSum_G});
    context->saved_data["path"] = static_cast<int64_t>(path);
    context->saved_data["scale"] = scale;
    *aside = std::move(made.result);
    return aside->h_nRH;
  }

  static variable_list backward(AutogradContext* context, const variable_list& outputGradients) {
    const variable_list saved = context->get_saved_variables();
    const double scale = context->saved_data["scale"].toDouble();
    const at::Tensor& q_nRH = saved[0];
    const at::Tensor& rows_nKH = saved[1];
    variable_list gradients;
    if (at::GradMode::is_enabled()) {  // a graph is asked for
      gradients = differentiable(q_nRH, rows_nKH, scale, outputGradients[0]);
    } else {
      const auto path = static_cast<Path>(context->saved_data["path"].toInt());
      const cross_attention::Gradients found = cross_attention::backward(
          q_nRH, rows_nKH, scale, {{saved[2], {}, {}}, saved[3], path}, outputGradients[0]);
      gradients = {found.q_nRH, found.rows_nKH};
    }
    gradients.resize(6);
    return gradients;
  }
};

void checkShapes(const at::Tensor& q_nRH, const at::Tensor& rows_nKH) {
  if (q_nRH.dim() == 3 && rows_nKH.dim() == 3 && q_nRH.size(0) == rows_nKH.size(0) &&
      q_nRH.size(2) == rows_nKH.size(2) && rows_nKH.size(1) > 0) {
    return;
  }
  std::ostringstream received;
  received << q_nRH.sizes() << " and " << rows_nKH.sizes();
  fail(ErrorCode::ShapeMismatch,
       "expected queries [n, R, H] and rows [n, K, H] with K > 0 for `crossAttention` but received " +
           received.str());
}

}  // namespace

CrossAttention crossAttention(const at::Tensor& q_nRH, const at::Tensor& rows_nKH, double scale,
                              CrossAttentionWants wants) {
  checkShapes(q_nRH, rows_nKH);
  const Path path = cross_attention::pathOf(q_nRH, rows_nKH);
  if (path == Path::Reference) return crossAttentionReference(q_nRH, rows_nKH, scale, wants);
  if (!at::GradMode::is_enabled() || !(q_nRH.requires_grad() || rows_nKH.requires_grad())) {
    return cross_attention::forward(path, q_nRH, rows_nKH, scale, wants).result;
  }
  // A fused backward computes the products again; within one block that buys nothing (bench/README.md, Ops).
  if (cross_attention::isOneBlock(q_nRH, rows_nKH)) {
    return crossAttentionReference(q_nRH, rows_nKH, scale, wants);
  }
  CrossAttention result;
  const RoleScope kept(currentMemoryRole());  // inside a function nothing is recorded
  result.h_nRH = Function::apply(q_nRH, rows_nKH, scale, wants, path, &result);
  return result;
}

}  // namespace seprog
