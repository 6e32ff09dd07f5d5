#include "edit_update.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "../../instrument/flops.h"
#include "../../instrument/memory_role.h"
#include "../../tensor/narrow.h"

namespace seprog {

EditUpdate::EditUpdate(const MendModules& modules, const Model& current, const PairRows& edits,
                       int64_t keptBytes, JobContext& context)
    : modules_(modules),
      current_(current),
      edits_(edits),
      context_(context),
      normalisers_(modules.matrices().size()),
      roomBytes_(keptBytes) {
  for (const MatrixGroup& group : modules.groups()) {
    parts_.push_back(modules.parts(group));
    networks_.emplace_back();
    for (const NetworkPart& part : parts_.back()) networks_.back().push_back(modules.network(part));
  }
  const int64_t most = modules.spec().microBatch;
  for (int64_t first = 0; first < edits.rows(); first += most) {
    Chunk& chunk = chunks_.emplace_back();
    chunk.first = first;
    chunk.count = std::min(most, edits.rows() - first);
  }
}

int64_t EditUpdate::traceBytes(const std::vector<Factors>& factors) const {
  int64_t bytes = 0;
  for (size_t i = 0; i < factors.size(); ++i) {
    const EditedMatrix& matrix = modules_.matrices()[i];
    int64_t perRow = matrix.inputs + matrix.outputs;  // x
    for (const NetworkPart& part : parts_[matrix.group]) {
      perRow += 3 * part.width + 2 * std::min(modules_.spec().rank, part.width);
    }
    bytes += perRow * factors[i].u_NI.size(0) * static_cast<int64_t>(factors[i].u_NI.element_size());
  }
  return bytes;
}

std::vector<Factors> EditUpdate::factorsOf(Chunk& chunk) {
  context_.checkCancelled();
  if (!chunk.factors.empty()) return chunk.factors;
  ChunkFactors found;
  {
    const auto phase = context_.phase("edit_factors");
    found = editFactors(current_, modules_, edits_, chunk.first, chunk.count);
  }
  if (!chunk.seen) {
    chunk.seen = true;
    loss_ += found.loss;
    const int64_t bytes = traceBytes(found.byMatrix);
    chunk.kept = bytes <= roomBytes_;
    if (chunk.kept) roomBytes_ -= bytes;
  }
  if (chunk.kept) chunk.factors = found.byMatrix;
  return std::move(found.byMatrix);
}

void EditUpdate::learn(Statistics& statistics) {
  if (!modules_.spec().norm) return;
  std::vector<FactorMoments> moments(modules_.matrices().size());
  for (Chunk& chunk : chunks_) {
    const std::vector<Factors> factors = factorsOf(chunk);
    const auto phase = context_.phase("statistics");
    for (size_t i = 0; i < factors.size(); ++i) {
      moments[i].u.add(factors[i].u_NI);
      moments[i].delta.add(factors[i].delta_NO);
    }
  }
  for (size_t i = 0; i < moments.size(); ++i) {
    FactorMoments& known = statistics[modules_.matrices()[i].group];
    known.u.merge(moments[i].u);
    known.delta.merge(moments[i].delta);
    normalisers_[i] = Normaliser(known, modules_.alpha_L().scalar_type(), current_.device);
  }
}

void EditUpdate::freeze(const Statistics& statistics) {
  if (!modules_.spec().norm) return;
  for (size_t i = 0; i < normalisers_.size(); ++i) {
    normalisers_[i] = Normaliser(statistics[modules_.matrices()[i].group], modules_.alpha_L().scalar_type(),
                                 current_.device);
  }
}

at::Tensor EditUpdate::normalised(size_t matrix, const Factors& factors) const {
  return normalisers_[matrix].apply(factors.u_NI, factors.delta_NO);
}

EditUpdate::Trace EditUpdate::trace(size_t index, const Factors& factors) const {
  const RoleScope role(MemoryRole::Activations);
  const EditedMatrix& matrix = modules_.matrices()[index];
  Trace pass{normalised(index, factors), {}};
  for (size_t p = 0; p < parts_[matrix.group].size(); ++p) {
    const NetworkPart& part = parts_[matrix.group][p];
    const at::Tensor x_NW = pass.x_ND.narrow(1, part.first, part.width);
    pass.networks.push_back(networks_[matrix.group][p].trace(x_NW, matrix.mode));
  }
  return pass;
}

at::Tensor EditUpdate::result(size_t index, const Trace& trace) const {
  const EditedMatrix& matrix = modules_.matrices()[index];
  const std::vector<NetworkPart>& parts = parts_[matrix.group];
  const auto ofPart = [&](size_t p) {
    return networks_[matrix.group][p].result(trace.networks[p], matrix.mode);
  };
  if (parts.front().width == trace.x_ND.size(1)) return ofPart(0);
  at::Tensor y_ND = trace.x_ND.clone();
  for (size_t p = 0; p < parts.size(); ++p) y_ND.narrow(1, parts[p].first, parts[p].width).copy_(ofPart(p));
  return y_ND;
}

TensorTable EditUpdate::pseudoGradients() {
  at::NoGradGuard noGrad;
  const std::vector<EditedMatrix>& matrices = modules_.matrices();
  TensorTable pseudo;
  for (const EditedMatrix& matrix : matrices) {
    const RoleScope role(MemoryRole::Gradients);
    const at::Tensor W = current_.weights.at(matrix.name);
    pseudo.emplace(matrix.name, at::zeros_like(W, isNarrow(W) ? at::kFloat : W.scalar_type()));
  }
  for (Chunk& chunk : chunks_) {
    const std::vector<Factors> factors = factorsOf(chunk);
    const auto phase = context_.phase("editor_forward");
    for (size_t i = 0; i < matrices.size(); ++i) {
      const EditedMatrix& matrix = matrices[i];
      Trace own = trace(i, factors[i]);
      const at::Tensor y_ND = result(i, own);
      const at::Tensor u_NI = y_ND.narrow(1, 0, matrix.inputs);
      const at::Tensor delta_NO = y_ND.narrow(1, matrix.inputs, matrix.outputs);
      at::Tensor& sum = pseudo.at(matrix.name);
      if (matrix.inputMajor) {
        sum.addmm_(u_NI.t(), delta_NO);
      } else {
        sum.addmm_(delta_NO.t(), u_NI);
      }
      if (chunk.kept) chunk.traces.push_back(std::move(own));
    }
    chunk.factors.clear();
  }
  return pseudo;
}

TensorTable EditUpdate::pseudoGradientGraph() {
  std::vector<std::vector<Factors>> all;
  for (Chunk& chunk : chunks_) all.push_back(factorsOf(chunk));
  TensorTable pseudo;
  for (size_t i = 0; i < modules_.matrices().size(); ++i) {
    const EditedMatrix& matrix = modules_.matrices()[i];
    std::vector<at::Tensor> u, delta;
    for (const std::vector<Factors>& chunk : all) {
      u.push_back(chunk[i].u_NI);
      delta.push_back(chunk[i].delta_NO);
    }
    const at::Tensor x_ND = normalised(i, {at::cat(u), at::cat(delta)});
    std::vector<at::Tensor> columns;
    int64_t next = 0;
    for (size_t p = 0; p < parts_[matrix.group].size(); ++p) {
      const NetworkPart& part = parts_[matrix.group][p];
      if (part.first > next) columns.push_back(x_ND.narrow(1, next, part.first - next));
      columns.push_back(
          networks_[matrix.group][p].forward(x_ND.narrow(1, part.first, part.width), matrix.mode));
      next = part.first + part.width;
    }
    if (next < x_ND.size(1)) columns.push_back(x_ND.narrow(1, next, x_ND.size(1) - next));
    const at::Tensor y_ND = at::cat(columns, 1);
    const at::Tensor u_NI = y_ND.narrow(1, 0, matrix.inputs);
    const at::Tensor delta_NO = y_ND.narrow(1, matrix.inputs, matrix.outputs);
    pseudo.emplace(matrix.name, matrix.inputMajor ? at::mm(u_NI.t(), delta_NO) : at::mm(delta_NO.t(), u_NI));
  }
  return pseudo;
}

void EditUpdate::backward(size_t index, const Trace& trace, const at::Tensor& gradient,
                          Gradients& sums) const {
  const BackwardPass pass("editor");
  const RoleScope role(MemoryRole::Gradients);
  const EditedMatrix& matrix = modules_.matrices()[index];
  const at::Tensor y_ND = result(index, trace);
  const at::Tensor u_NI = y_ND.narrow(1, 0, matrix.inputs);
  const at::Tensor delta_NO = y_ND.narrow(1, matrix.inputs, matrix.outputs);
  const at::Tensor gradient_OI = matrix.inputMajor ? gradient.t() : gradient;
  const at::Tensor g_ND = at::cat({at::mm(delta_NO, gradient_OI), at::mm(u_NI, gradient_OI.t())}, 1);
  for (size_t p = 0; p < trace.networks.size(); ++p) {
    const NetworkPart& part = parts_[matrix.group][p];
    networks_[matrix.group][p].backward(trace.networks[p], matrix.mode,
                                        g_ND.narrow(1, part.first, part.width), sums);
  }
}

void EditUpdate::backward(const TensorTable& ofPseudo, Gradients& sums) {
  at::NoGradGuard noGrad;
  const std::vector<EditedMatrix>& matrices = modules_.matrices();
  for (Chunk& chunk : chunks_) {
    context_.checkCancelled();
    const std::vector<Trace> kept = std::move(chunk.traces);
    chunk.traces.clear();
    const std::vector<Factors> factors = kept.empty() ? factorsOf(chunk) : std::vector<Factors>();
    const auto phase = context_.phase("editor_backward");
    for (size_t i = 0; i < matrices.size(); ++i) {
      const at::Tensor& gradient = ofPseudo.at(matrices[i].name);
      backward(i, kept.empty() ? trace(i, factors[i]) : kept[i], gradient, sums);
    }
  }
}

}  // namespace seprog
