#include "rms_norm.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>

#include "../instrument/memory_role.h"
#include "../plan/planned_device.h"
#include "../tensor/vectorise.h"

namespace seprog {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Partial sums of a row: a fixed order of summation, whatever the width of the vector unit.
constexpr int64_t kLanes = 32;
// Rows whose weight gradients are summed before the rest: fixed, so that results do not depend on the thread
// count.
constexpr int64_t kChunkRows = 256;
constexpr int64_t kGrainElements = 1 << 15;

SEPROG_VECTORISED float dot(const float* a, const float* b, int64_t count) {
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) lanes[j] += a[i + j] * b[i + j];
  }
  for (int64_t j = 0; i < count; ++i, ++j) lanes[j] += a[i] * b[i];
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t j = 0; j < half; ++j) lanes[j] += lanes[j + half];
  }
  return lanes[0];
}

SEPROG_VECTORISED void scaleRow(const float* x, const float* weight, float rstd, float* out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] = x[i] * rstd * weight[i];
}

SEPROG_VECTORISED void multiplyRow(const float* a, const float* b, float* out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] = a[i] * b[i];
}

/// dx = rstd·gw − x·(rstd³·⟨gw, x⟩/D), gw standing in dx already.
SEPROG_VECTORISED void gradientRow(const float* x, float rstd, float along, float* dx, int64_t count) {
  for (int64_t i = 0; i < count; ++i) dx[i] = rstd * dx[i] - along * x[i];
}

SEPROG_VECTORISED void addProduct(const float* g, const float* x, float rstd, float* sum, int64_t count) {
  for (int64_t i = 0; i < count; ++i) sum[i] += g[i] * (x[i] * rstd);
}

bool fusable(const at::Tensor& x_ND, const at::Tensor& weight_D) {
  return takesCpuKernels(x_ND.device()) && x_ND.scalar_type() == at::kFloat && x_ND.is_contiguous() &&
         weight_D.scalar_type() == at::kFloat && weight_D.is_contiguous();
}

struct Normed {
  at::Tensor y_ND;
  at::Tensor rstd_N1;
};

Normed reference(const at::Tensor& x_ND, const at::Tensor& weight_D, double epsilon) {
  const at::Tensor rstd_N1 = (x_ND * x_ND).mean(-1, true).add(epsilon).rsqrt();
  return {x_ND * rstd_N1 * weight_D, rstd_N1};
}

Normed forwardPass(const at::Tensor& x_ND, const at::Tensor& weight_D, double epsilon) {
  if (!fusable(x_ND, weight_D)) return reference(x_ND, weight_D, epsilon);
  const int64_t rows = x_ND.size(0);
  const int64_t width = x_ND.size(1);
  Normed out{at::empty_like(x_ND), at::empty({rows, 1}, x_ND.options())};
  if (!holdsData(x_ND)) return out;
  const float* x = x_ND.const_data_ptr<float>();
  const float* weight = weight_D.const_data_ptr<float>();
  float* y = out.y_ND.mutable_data_ptr<float>();
  float* rstd = out.rstd_N1.mutable_data_ptr<float>();
  at::parallel_for(0, rows, std::max<int64_t>(1, kGrainElements / width), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const float* row = x + n * width;
      rstd[n] =
          1.0f / std::sqrt(dot(row, row, width) / static_cast<float>(width) + static_cast<float>(epsilon));
      scaleRow(row, weight, rstd[n], y + n * width, width);
    }
  });
  return out;
}

void inputGradient(const at::Tensor& g_ND, const at::Tensor& x_ND, const at::Tensor& weight_D,
                   const at::Tensor& rstd_N1, const at::Tensor& dx_ND) {
  const int64_t width = x_ND.size(1);
  const float* g = g_ND.const_data_ptr<float>();
  const float* x = x_ND.const_data_ptr<float>();
  const float* weight = weight_D.const_data_ptr<float>();
  const float* rstd = rstd_N1.const_data_ptr<float>();
  float* dx = dx_ND.mutable_data_ptr<float>();
  const int64_t grain = std::max<int64_t>(1, kGrainElements / width);
  at::parallel_for(0, x_ND.size(0), grain, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      float* row = dx + n * width;
      multiplyRow(g + n * width, weight, row, width);
      const float along =
          dot(row, x + n * width, width) * rstd[n] * rstd[n] * rstd[n] / static_cast<float>(width);
      gradientRow(x + n * width, rstd[n], along, row, width);
    }
  });
}

/// Adds up kChunkRows rows a chunk; C chunks.
void weightGradients(const at::Tensor& g_ND, const at::Tensor& x_ND, const at::Tensor& rstd_N1,
                     const at::Tensor& partial_CD) {
  const int64_t rows = x_ND.size(0);
  const int64_t width = x_ND.size(1);
  const float* g = g_ND.const_data_ptr<float>();
  const float* x = x_ND.const_data_ptr<float>();
  const float* rstd = rstd_N1.const_data_ptr<float>();
  float* partial = partial_CD.mutable_data_ptr<float>();
  at::parallel_for(0, partial_CD.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      const int64_t last = std::min(rows, (c + 1) * kChunkRows);
      for (int64_t n = c * kChunkRows; n < last; ++n) {
        addProduct(g + n * width, x + n * width, rstd[n], partial + c * width, width);
      }
    }
  });
}

struct NormGradients {
  at::Tensor x_ND;
  at::Tensor weight_D;
};

NormGradients backwardPass(const at::Tensor& g_ND, const at::Tensor& x_ND, const at::Tensor& weight_D,
                           const at::Tensor& rstd_N1, bool wantX, bool wantWeight) {
  const int64_t rows = x_ND.size(0);
  const int64_t width = x_ND.size(1);
  const at::Tensor gContiguous_ND = g_ND.contiguous();
  NormGradients out;
  if (wantX) {
    out.x_ND = at::empty_like(x_ND);
    if (holdsData(x_ND)) inputGradient(gContiguous_ND, x_ND, weight_D, rstd_N1, out.x_ND);
  }
  if (wantWeight) {
    const at::Tensor partial_CD = at::zeros({(rows + kChunkRows - 1) / kChunkRows, width}, x_ND.options());
    if (holdsData(x_ND)) weightGradients(gContiguous_ND, x_ND, rstd_N1, partial_CD);
    out.weight_D = partial_CD.sum(0);
  }
  return out;
}

class RmsNorm : public torch::autograd::Function<RmsNorm> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_ND, const at::Tensor& weight_D,
                            double epsilon) {
    const Normed out = forwardPass(x_ND, weight_D, epsilon);
    context->save_for_backward({x_ND, weight_D, out.rstd_N1});
    context->saved_data["epsilon"] = epsilon;
    return out.y_ND;
  }

  static variable_list backward(AutogradContext* context, variable_list above) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& g_ND = above[0];
    const at::Tensor& x_ND = saved[0];
    const at::Tensor& weight_D = saved[1];
    NormGradients out;
    if (at::GradMode::is_enabled() || !fusable(x_ND, weight_D)) {
      // Plain operations on the inputs: whoever asked for a graph of the gradient can differentiate them
      // again.
      const double epsilon = context->saved_data["epsilon"].toDouble();
      const at::Tensor rstd_N1 = (x_ND * x_ND).mean(-1, true).add(epsilon).rsqrt();
      const at::Tensor gw_ND = g_ND * weight_D;
      const at::Tensor along_N1 = (gw_ND * x_ND).mean(-1, true) * rstd_N1.pow(3);
      out = {gw_ND * rstd_N1 - x_ND * along_N1, (g_ND * x_ND * rstd_N1).sum(0)};
    } else {
      out = backwardPass(g_ND, x_ND, weight_D, saved[2], context->needs_input_grad(0),
                         context->needs_input_grad(1));
    }
    return {out.x_ND, out.weight_D, at::Tensor()};
  }
};

}  // namespace

at::Tensor rmsNorm(const at::Tensor& x_ND, const at::Tensor& weight_D, double epsilon) {
  const bool recorded = at::GradMode::is_enabled() && (x_ND.requires_grad() || weight_D.requires_grad());
  const at::Tensor x = x_ND.contiguous();
  const RoleScope kept(currentMemoryRole());  // inside a function nothing is recorded
  return recorded ? RmsNorm::apply(x, weight_D, epsilon) : forwardPass(x, weight_D, epsilon).y_ND;
}

}  // namespace seprog
