#include "hypernetwork.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_pack_padded_sequence.h>
#include <ATen/ops/addr.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/dot.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/lstm.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "../../error.h"
#include "../../tensor/narrow.h"
#include "../../tensor/random.h"

namespace seprog {
namespace {

// As the authors have it: the row 0 of the embedding table stays as it is.
constexpr int64_t kFrozenRow = 0;

/// Rows of a weight that are normalised: w = g·v/‖v‖.
at::Tensor normalised(const at::Tensor& g_O1, const at::Tensor& v_OI) {
  return v_OI * (g_O1 / at::linalg_vector_norm(v_OI, 2, {1}, true));
}

}  // namespace

at::Tensor UpdateRule::update(const at::Tensor& gradient_mn) const {
  return at::addr(gradient_mn * at::outer(rowA_m, colA_n), rowB_m, colB_n) * scale;
}

at::Tensor UpdateRule::along(const at::Tensor& vTimesGradient_mn, const at::Tensor& v_mn) const {
  return (at::dot(rowA_m, at::mv(vTimesGradient_mn, colA_n)) + at::dot(rowB_m, at::mv(v_mn, colB_n))) * scale;
}

Hypernetwork::Hypernetwork(const SlagSpec& spec, const Model& base)
    : spec_(spec), edited_(base.architecture->editableWeights()) {
  at::NoGradGuard noGrad;
  TensorTable table;
  // PyTorch's defaults: uniform in ±1/√fan_in for linear layers, ±1/√H for an LSTM, weight and bias alike.
  const auto uniform = [&](const std::string& name, at::IntArrayRef shape, int64_t fanIn) {
    const double bound = 1.0 / std::sqrt(static_cast<double>(fanIn));
    table.emplace(name, Random(spec.seed, name).uniformTensor(shape, -bound, bound));
  };
  const at::Tensor& E_Vd = base.architecture->embeddingTable(base.weights);
  table.emplace("embedding", inFp32(E_Vd.detach()).clone(at::MemoryFormat::Contiguous));
  const int64_t H = spec.lstmWidth;
  for (const char* direction : {"", "_reverse"}) {
    const std::string end = std::string("_l0") + direction;
    uniform("lstm.weight_ih" + end, {4 * H, E_Vd.size(1)}, H);
    uniform("lstm.weight_hh" + end, {4 * H, H}, H);
    uniform("lstm.bias_ih" + end, {4 * H}, H);
    uniform("lstm.bias_hh" + end, {4 * H}, H);
  }
  uniform("linear.weight", {spec.conditionWidth, 2 * H}, 2 * H);
  uniform("linear.bias", {spec.conditionWidth}, 2 * H);
  for (size_t j = 0; j < edited_.size(); ++j) {
    const at::Tensor& W_mn = base.weights.at(edited_[j]);
    shapes_.emplace_back(W_mn.size(0), W_mn.size(1));
    const auto layer = [&](const std::string& name, int64_t out, int64_t in) {
      uniform(name + ".weight_v", {out, in}, in);
      uniform(name + ".bias", {out}, in);
      table.emplace(name + ".weight_g", at::linalg_vector_norm(table.at(name + ".weight_v"), 2, {1}, true));
    };
    const std::string name = "cond" + std::to_string(j);
    layer(name + ".lin1", spec.conditionerWidth, spec.conditionWidth);
    layer(name + ".lin2", 2 * (W_mn.size(0) + W_mn.size(1)) + 1, spec.conditionerWidth);
  }
  for (auto& [name, tensor] : table) tensor = tensor.to(base.device, at::kFloat).contiguous();
  parameters_ = std::move(table);
}

Hypernetwork Hypernetwork::with(TensorTable parameters) const {
  Hypernetwork other = *this;
  other.parameters_ = std::move(parameters);
  return other;
}

Hypernetwork Hypernetwork::tracked() const {
  TensorTable leaves;
  for (const auto& [name, tensor] : parameters_)
    leaves.emplace(name, tensor.detach().set_requires_grad(true));
  return with(std::move(leaves));
}

at::Tensor Hypernetwork::condition(const TokenBatch& text_RS) const {
  const int64_t R = text_RS.rows();
  std::vector<int64_t> longestFirst(R);
  std::iota(longestFirst.begin(), longestFirst.end(), 0);
  std::stable_sort(longestFirst.begin(), longestFirst.end(),
                   [&](int64_t a, int64_t b) { return text_RS.lengths[a] > text_RS.lengths[b]; });
  std::vector<int64_t> lengths, placeOf(R);
  for (int64_t place = 0; place < R; ++place) {
    lengths.push_back(text_RS.lengths[longestFirst[place]]);
    placeOf[longestFirst[place]] = place;
  }
  if (lengths.back() < 1) {
    fail(ErrorCode::DataInvalid, "expected at least one token for `editText[" +
                                     std::to_string(longestFirst.back()) + "]` but received none");
  }
  const auto device = text_RS.ids_BS.device();
  const at::Tensor ids_RS = text_RS.ids_BS.index_select(0, at::tensor(longestFirst, at::kLong).to(device));
  const at::Tensor x_RSd = at::embedding(parameters_.at("embedding"), ids_RS, kFrozenRow);
  const auto [packed, batchSizes] = at::_pack_padded_sequence(x_RSd, at::tensor(lengths, at::kLong), true);
  std::vector<at::Tensor> lstm;
  for (const char* end : {"_l0", "_l0_reverse"}) {
    for (const char* part : {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}) {
      lstm.push_back(parameters_.at("lstm." + std::string(part) + end));
    }
  }
  const at::Tensor zero = at::zeros({2, R, spec_.lstmWidth}, x_RSd.options());
  const at::Tensor last_2RH =
      std::get<1>(at::lstm(packed, batchSizes, {zero, zero}, lstm, true, 1, 0.0, false, true));
  const at::Tensor states_R2H = at::cat({last_2RH.select(0, 0), last_2RH.select(0, 1)}, 1)
                                    .index_select(0, at::tensor(placeOf, at::kLong).to(device));
  return at::tanh(at::linear(states_R2H, parameters_.at("linear.weight"), parameters_.at("linear.bias")));
}

at::Tensor Hypernetwork::conditioner(const std::string& layer, const at::Tensor& x) const {
  return at::linear(x, normalised(parameters_.at(layer + ".weight_g"), parameters_.at(layer + ".weight_v")),
                    parameters_.at(layer + ".bias"));
}

UpdateRules Hypernetwork::rules(const at::Tensor& c_C) const {
  UpdateRules rules;
  for (size_t j = 0; j < edited_.size(); ++j) {
    const std::string name = "cond" + std::to_string(j);
    const at::Tensor out = conditioner(name + ".lin2", at::tanh(conditioner(name + ".lin1", c_C)));
    const auto [m, n] = shapes_[j];
    const std::vector<at::Tensor> part = out.split_with_sizes({n, m, n, m, 1}, 0);
    rules.emplace(edited_[j], UpdateRule{at::softmax(part[1], 0), part[0], at::softmax(part[3], 0), part[2],
                                         at::sigmoid(part[4].squeeze(0)) * spec_.maxScale});
  }
  return rules;
}

}  // namespace seprog
