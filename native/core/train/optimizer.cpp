#include "optimizer.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "../error.h"
#include "../instrument/memory_role.h"
#include "../io/safetensors.h"
#include "../plan/planned_device.h"

namespace seprog {
namespace {

// Elements one thread takes at a time: four streams of 64 KiB fit in a core's second-level cache.
constexpr int64_t kChunk = 16384;
// A gradient's norm where nothing holds data: whether it is clipped changes no size.
constexpr double kPlannedNorm = 1.0;

struct Chunk {
  size_t tensor;
  int64_t begin;
  int64_t end;
};

std::vector<Chunk> cut(const std::vector<at::Tensor>& tensors) {
  std::vector<Chunk> chunks;
  for (size_t t = 0; t < tensors.size(); ++t) {
    const int64_t count = tensors[t].numel();
    for (int64_t begin = 0; begin < count; begin += kChunk) {
      chunks.push_back({t, begin, std::min(count, begin + kChunk)});
    }
  }
  return chunks;
}

std::string text(at::IntArrayRef shape) {
  std::ostringstream out;
  out << shape;
  return out.str();
}

bool onCpu(const std::vector<at::Tensor>& tensors) {
  return std::all_of(tensors.begin(), tensors.end(),
                     [](const at::Tensor& t) { return takesCpuKernels(t.device()); });
}

/// The constants of one step, rounded to float where PyTorch's element-wise kernels round them.
struct StepConstants {
  float gradientScale, oneMinusBeta1, beta2, oneMinusBeta2, stepSize, biasCorrection2Sqrt, epsilon, decay,
      shrink;
};

void adamChunk(const StepConstants& c, int64_t count, const float* __restrict gradient, float* __restrict p,
               float* __restrict m, float* __restrict v) {
  for (int64_t i = 0; i < count; ++i) {
    const float g = gradient[i] * c.gradientScale + c.decay * p[i];
    m[i] = m[i] + c.oneMinusBeta1 * (g - m[i]);
    v[i] = v[i] * c.beta2 + c.oneMinusBeta2 * g * g;
    p[i] = p[i] * c.shrink - c.stepSize * (m[i] / (std::sqrt(v[i]) / c.biasCorrection2Sqrt + c.epsilon));
  }
}

/// Zeros that take one element's room until a step writes to them: an editor that only answers needs no more.
at::Tensor notYet(const at::Tensor& parameter) {
  return at::zeros({}, parameter.options().requires_grad(false)).expand(parameter.sizes());
}

/// The moment in `table`, in memory of its own.
const at::Tensor& written(TensorTable& table, const std::string& name) {
  at::Tensor& moment = table.find(name)->second;
  if (!moment.is_contiguous()) moment = moment.contiguous();
  return moment;
}

}  // namespace

double globalNorm(const Gradients& gradients) {
  std::vector<at::Tensor> tensors;
  for (const auto& [name, gradient] : gradients) tensors.push_back(gradient.contiguous());
  if (!onCpu(tensors)) {
    double squares = 0.0;
    for (const at::Tensor& tensor : tensors) {
      const double norm = at::linalg_vector_norm(tensor, 2, {}, false, at::kDouble).item<double>();
      squares += norm * norm;
    }
    return std::sqrt(squares);
  }
  if (!tensors.empty() && !holdsData(tensors.front())) return kPlannedNorm;
  const std::vector<Chunk> chunks = cut(tensors);
  std::vector<double> squares(chunks.size());
  at::parallel_for(0, static_cast<int64_t>(chunks.size()), 1, [&](int64_t first, int64_t last) {
    for (int64_t c = first; c < last; ++c) {
      const float* g = tensors[chunks[c].tensor].const_data_ptr<float>();
      double lanes[8] = {};  // independent sums, so that the loop vectorises without reordering the result
      int64_t i = chunks[c].begin;
      for (; i + 8 <= chunks[c].end; i += 8) {
        for (int lane = 0; lane < 8; ++lane) lanes[lane] += static_cast<double>(g[i + lane]) * g[i + lane];
      }
      for (; i < chunks[c].end; ++i) lanes[0] += static_cast<double>(g[i]) * g[i];
      for (const double lane : lanes) squares[c] += lane;
    }
  });
  double total = 0.0;
  for (const double square : squares) total += square;
  return std::sqrt(total);
}

double clipFactor(double norm, double maxNorm) { return std::min(1.0, maxNorm / (norm + 1e-6)); }

AdamOptions readAdamOptions(Options options) {
  AdamOptions adam;
  adam.decoupledDecay = options.choice("kind", {"adam", "adamw"}, "adam") == "adamw";
  adam.beta1 = options.number("beta1", adam.beta1);
  adam.beta2 = options.number("beta2", adam.beta2);
  adam.epsilon = options.number("epsilon", adam.epsilon);
  adam.weightDecay = options.number("weightDecay", adam.weightDecay);
  options.finish();
  const auto demand = [](bool holds, const std::string& what, const char* key, double got) {
    if (!holds) {
      fail(ErrorCode::ConfigInvalid,
           "expected " + what + " for `optimizer." + key + "` but received " + Json(got).dump());
    }
  };
  demand(adam.beta1 >= 0 && adam.beta1 < 1, "a number in [0, 1)", "beta1", adam.beta1);
  demand(adam.beta2 >= 0 && adam.beta2 < 1, "a number in [0, 1)", "beta2", adam.beta2);
  demand(adam.epsilon > 0, "a number above 0", "epsilon", adam.epsilon);
  demand(adam.weightDecay >= 0, "a number of 0 or more", "weightDecay", adam.weightDecay);
  return adam;
}

Adam::Adam(const AdamOptions& options, const TensorTable& parameters) : options_(options) {
  const RoleScope role(MemoryRole::Optimizer);
  for (const auto& [name, parameter] : parameters) {
    m_.emplace(name, notYet(parameter));
    v_.emplace(name, notYet(parameter));
  }
}

void Adam::step(const TensorTable& parameters, const Gradients& gradients, double learningRate,
                double gradientScale) {
  if (!std::isfinite(learningRate) || learningRate < 0) {
    fail(ErrorCode::DataInvalid, "expected a finite number of 0 or more for `learningRate` but received " +
                                     std::to_string(learningRate));
  }
  at::NoGradGuard noGrad;
  const RoleScope role(MemoryRole::Optimizer);
  std::vector<at::Tensor> p, g, m, v;
  for (const auto& [name, gradient] : gradients) {
    const auto parameter = parameters.find(name);
    if (parameter == parameters.end() || !parameter->second.is_contiguous() ||
        parameter->second.sizes() != gradient.sizes()) {
      fail(ErrorCode::Internal, "expected a contiguous parameter of shape " + text(gradient.sizes()) +
                                    " for `" + name + "` but received another");
    }
    p.push_back(parameter->second);
    g.push_back(gradient.contiguous());
    m.push_back(written(m_, name));
    v.push_back(written(v_, name));
  }

  const double step = static_cast<double>(steps_ + 1);
  if (!onCpu(p)) {
    // The multi-tensor kernel of libtorch is the fused pass of other devices.
    std::vector<at::Tensor> counts(p.size(), at::tensor(static_cast<float>(step), p.front().options()));
    at::_foreach_mul_(g, gradientScale);
    const auto& o = options_;
    if (o.decoupledDecay) {
      at::_fused_adamw_(p, g, m, v, {}, counts, learningRate, o.beta1, o.beta2, o.weightDecay, o.epsilon,
                        false, false);
    } else {
      at::_fused_adam_(p, g, m, v, {}, counts, learningRate, o.beta1, o.beta2, o.weightDecay, o.epsilon,
                       false, false);
    }
    ++steps_;
    return;
  }

  const StepConstants constants = {
      .gradientScale = static_cast<float>(gradientScale),
      .oneMinusBeta1 = static_cast<float>(1.0 - options_.beta1),
      .beta2 = static_cast<float>(options_.beta2),
      .oneMinusBeta2 = static_cast<float>(1.0 - options_.beta2),
      .stepSize = static_cast<float>(learningRate / (1.0 - std::pow(options_.beta1, step))),
      .biasCorrection2Sqrt = static_cast<float>(std::sqrt(1.0 - std::pow(options_.beta2, step))),
      .epsilon = static_cast<float>(options_.epsilon),
      .decay = static_cast<float>(options_.decoupledDecay ? 0.0 : options_.weightDecay),
      .shrink = static_cast<float>(options_.decoupledDecay ? 1.0 - learningRate * options_.weightDecay : 1.0),
  };
  if (!p.empty() && !holdsData(p.front())) {
    ++steps_;
    return;
  }
  const std::vector<Chunk> chunks = cut(p);
  at::parallel_for(0, static_cast<int64_t>(chunks.size()), 1, [&](int64_t first, int64_t last) {
    for (int64_t c = first; c < last; ++c) {
      const auto [t, begin, end] = chunks[c];
      adamChunk(constants, end - begin, g[t].const_data_ptr<float>() + begin,
                p[t].mutable_data_ptr<float>() + begin, m[t].mutable_data_ptr<float>() + begin,
                v[t].mutable_data_ptr<float>() + begin);
    }
  });
  ++steps_;
}

void Adam::save(const std::string& path) const {
  TensorTable moments;
  for (const auto& [name, tensor] : m_) moments.emplace("m." + name, tensor);
  for (const auto& [name, tensor] : v_) moments.emplace("v." + name, tensor);
  writeSafetensors(path, moments, {{"steps", std::to_string(steps_)}});
}

void Adam::restore(const std::string& path) {
  const SafetensorsFile file = readSafetensors(path);
  const auto steps = file.metadata.find("steps");
  if (steps == file.metadata.end() || steps->second.empty() ||
      steps->second.find_first_not_of("0123456789") != std::string::npos || steps->second.size() > 15) {
    fail(ErrorCode::CheckpointInvalid, "expected a step count for `steps` in " + path +
                                           " but received none; is this an optimizer file of this package?");
  }
  if (file.tensors.size() != m_.size() + v_.size()) {
    fail(ErrorCode::CheckpointInvalid, "expected " + std::to_string(m_.size() + v_.size()) + " tensors in " +
                                           path + " but received " + std::to_string(file.tensors.size()));
  }
  const RoleScope role(MemoryRole::Optimizer);
  const auto read = [&](const TensorTable& like, const char* prefix) {
    TensorTable table;
    for (const auto& [name, tensor] : like) {
      const auto found = file.tensors.find(prefix + name);
      if (found == file.tensors.end() || found->second.sizes() != tensor.sizes() ||
          found->second.scalar_type() != at::kFloat) {
        fail(ErrorCode::CheckpointInvalid, "expected a float32 tensor of shape " + text(tensor.sizes()) +
                                               " for `" + prefix + name + "` in " + path +
                                               " but received another or none");
      }
      table.emplace(name, found->second.to(tensor.device(), at::kFloat, false, true).contiguous());
    }
    return table;
  };
  TensorTable m = read(m_, "m.");
  TensorTable v = read(v_, "v.");
  m_ = std::move(m);
  v_ = std::move(v);
  steps_ = std::stoll(steps->second);
}

}  // namespace seprog
