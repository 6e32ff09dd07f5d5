#include "activation.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/erf.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <numbers>

#include "../instrument/memory_role.h"
#include "../plan/planned_device.h"
#include "../tensor/exponential.h"
#include "../tensor/vectorise.h"
#include "each_row.h"
#include "gelu_new.h"

namespace seprog {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr float kDensityAtZero = 0.39894228040143268f;

/// Φ(−a) = t·P(t)·e^(−a²/2) with t = 1 / (1 + 0.27·a), a ≥ 0. P is our least-squares fit of degree 8: relative
/// error 2.3e-8 up to a = 13, where the tail is below the smallest float.
inline float upperTail(float a, float bell) {
  const float t = 1.0f / (1.0f + 0.27f * a);
  float p = 0.0288283825f;
  p = p * t - 0.1258165538f;
  p = p * t + 0.1683464795f;
  p = p * t - 0.0674894825f;
  p = p * t + 0.1065775082f;
  p = p * t + 0.0726102591f;
  p = p * t + 0.1016586348f;
  p = p * t + 0.1075655445f;
  p = p * t + 0.1077192351f;
  return p * t * bell;
}

inline float gateOf(float x) {
  const float tail = upperTail(std::abs(x), exponential(-0.5f * x * x));
  return x > 0.0f ? 1.0f - tail : tail;
}

SEPROG_VECTORISED void geluRow(const float* x, float* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = x[i] * gateOf(x[i]);
}

SEPROG_VECTORISED void geluSlopeRow(const float* g, const float* x, float* dx, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const float bell = exponential(-0.5f * x[i] * x[i]);
    const float tail = upperTail(std::abs(x[i]), bell);
    const float gate = x[i] > 0.0f ? 1.0f - tail : tail;
    dx[i] = g[i] * (gate + x[i] * (kDensityAtZero * bell));
  }
}

SEPROG_VECTORISED void geluNewRow(const float* x, float* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = x[i] * gelu_new::gate(x[i]);
}

SEPROG_VECTORISED void geluNewSlopeRow(const float* g, const float* x, float* dx, int64_t count) {
  for (int64_t i = 0; i < count; ++i) dx[i] = g[i] * gelu_new::slope(x[i], gelu_new::gate(x[i]));
}

bool fusable(const at::Tensor& x_NF) {
  return takesCpuKernels(x_NF.device()) && x_NF.scalar_type() == at::kFloat;
}

/// The factor of x and its derivative in plain operations: for other devices and types, and for whoever
/// asked for a graph of the gradient.
at::Tensor plainGate(Activation kind, const at::Tensor& x) {
  if (kind == Activation::Gelu) return (at::erf(x * std::sqrt(0.5)) + 1) * 0.5;
  return at::sigmoid((x + x * x * x * 0.044715) * std::sqrt(8 / std::numbers::pi));
}

at::Tensor plainSlope(Activation kind, const at::Tensor& x) {
  const at::Tensor s = plainGate(kind, x);
  if (kind == Activation::Gelu) return s + x * at::exp(x * x * -0.5) * std::sqrt(0.5 / std::numbers::pi);
  return s + x * s * (1 - s) * (x * x * (3 * 0.044715) + 1) * std::sqrt(8 / std::numbers::pi);
}

at::Tensor forwardPass(Activation kind, const at::Tensor& x_NF) {
  if (!fusable(x_NF)) return x_NF * plainGate(kind, x_NF);
  const auto row = kind == Activation::Gelu ? geluRow : geluNewRow;
  const at::Tensor y_NF = at::empty_like(x_NF);
  if (!holdsData(x_NF)) return y_NF;
  const float* x = x_NF.const_data_ptr<float>();
  float* y = y_NF.mutable_data_ptr<float>();
  eachRow(x_NF, [&](int64_t at, int64_t count) { row(x + at, y + at, count); });
  return y_NF;
}

class Gelu : public torch::autograd::Function<Gelu> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_NF, Activation kind) {
    context->save_for_backward({x_NF});
    context->saved_data["kind"] = static_cast<int64_t>(kind);
    return forwardPass(kind, x_NF);
  }
  static variable_list backward(AutogradContext* context, variable_list above) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& x_NF = saved[0];
    const auto kind = static_cast<Activation>(context->saved_data["kind"].toInt());
    if (at::GradMode::is_enabled() || !fusable(x_NF))
      return {above[0] * plainSlope(kind, x_NF), at::Tensor()};
    const auto row = kind == Activation::Gelu ? geluSlopeRow : geluNewSlopeRow;
    const at::Tensor g_NF = above[0].contiguous();
    const at::Tensor dx_NF = at::empty_like(x_NF);
    if (!holdsData(x_NF)) return {dx_NF, at::Tensor()};
    const float* g = g_NF.const_data_ptr<float>();
    const float* x = x_NF.const_data_ptr<float>();
    float* dx = dx_NF.mutable_data_ptr<float>();
    eachRow(x_NF, [&](int64_t at, int64_t count) { row(g + at, x + at, dx + at, count); });
    return {dx_NF, at::Tensor()};
  }
};

}  // namespace

at::Tensor activate(Activation kind, const at::Tensor& x_NF) {
  if (kind == Activation::Relu) return at::relu(x_NF);
  const at::Tensor x = x_NF.contiguous();
  const RoleScope kept(currentMemoryRole());  // inside a function nothing is recorded
  return at::GradMode::is_enabled() && x.requires_grad() ? Gelu::apply(x, kind) : forwardPass(kind, x);
}

}  // namespace seprog
