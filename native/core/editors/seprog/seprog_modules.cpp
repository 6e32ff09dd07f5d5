#include "seprog_modules.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "../../instrument/memory_role.h"
#include "../../tensor/narrow.h"
#include "../../tensor/random.h"

namespace seprog {
namespace {

constexpr std::string_view kEncoderPrefix = "edit_encoder.";

/// p rows of the embedding table, drawn from its most frequent ids: the vocabularies of the base families are
/// sorted by frequency behind their special tokens.
at::Tensor frequentRows(const at::Tensor& table_VD, const Architecture& base, int64_t rows,
                        int64_t frequentIds, Random random) {
  const int64_t behindSpecials = std::max({base.padId(), base.startId(), base.stopId()}) + 1;
  const int64_t first = behindSpecials < base.vocabulary() ? behindSpecials : 0;
  std::vector<int64_t> ids(std::min(frequentIds, base.vocabulary() - first));
  std::iota(ids.begin(), ids.end(), first);
  std::vector<int64_t> drawn;
  for (int64_t p = 0; p < rows; ++p) {  // without repetition as long as there are enough ids
    const int64_t start = p % static_cast<int64_t>(ids.size());
    const auto left = static_cast<double>(static_cast<int64_t>(ids.size()) - start);
    std::swap(ids[start], ids[start + static_cast<int64_t>(random.uniform() * left)]);
    drawn.push_back(ids[start]);
  }
  return table_VD.index_select(0, at::tensor(drawn, at::kLong));
}

}  // namespace

std::vector<std::string> tunedWeights(const SeprogSpec& spec, const Model& base) {
  if (spec.finetuneParameters == FinetuneParameters::Last2) return base.architecture->editableWeights();
  std::vector<std::string> names;
  for (const auto& [name, tensor] : base.weights.flatten()) {
    if (tensor.is_floating_point()) names.push_back(name);
  }
  return names;
}

SeprogModules::SeprogModules(const SeprogSpec& spec, const Model& editEncoder, const Model& base)
    : spec_(spec), encoder_(editEncoder.architecture), embeddingWidth_(base.architecture->embeddingWidth()) {
  at::NoGradGuard noGrad;
  const int64_t h = spec.hiddenWidth;
  const int64_t d_b = base.architecture->hiddenWidth();
  const int64_t d_edit = encoder_->hiddenWidth();
  const int64_t pd = spec.promptLength * embeddingWidth_;

  TensorTable table;
  // PyTorch's default for nn.Linear: uniform in ±1/√fan_in, weight and bias alike.
  const auto uniform = [&](const std::string& name, at::IntArrayRef shape, int64_t fanIn) {
    const double bound = 1.0 / std::sqrt(static_cast<double>(fanIn));
    table.emplace(name, Random(spec.seed, name).uniformTensor(shape, -bound, bound));
  };
  uniform("W_o", {h, d_edit}, d_edit);
  uniform("b_o", {h}, d_edit);
  if (spec.hasAttention()) uniform("W_att", {h, d_b}, d_b);
  int64_t in = h + d_b;
  for (int64_t layer = 0; spec.hasClassifier() && layer < spec.scopeLayers; ++layer) {
    const int64_t out = layer + 1 < spec.scopeLayers ? h : 1;
    const std::string name = "NN_e." + std::to_string(layer);
    uniform(name + ".weight", {out, in}, in);
    uniform(name + ".bias", {out}, in);
    in = out;
  }
  uniform("NN_prompt.0.weight", {h, h}, h);
  uniform("NN_prompt.0.bias", {h}, h);
  // R10: the first prompts are embeddings of frequent tokens plus a little noise of the table's own scale.
  const at::Tensor E_VD = inFp32(base.architecture->embeddingTable(base.weights)).to(at::kCPU);
  const double s = E_VD.pow(2).mean().sqrt().item<double>();
  const std::string last = "NN_prompt.1.weight";
  table.emplace(last, Random(spec.seed, last).normalTensor({pd, h}, 0.0, 0.02 * spec.promptInitScale * s));
  table.emplace("NN_prompt.1.bias", frequentRows(E_VD, *base.architecture, spec.promptLength,
                                                 spec.frequentIds, Random(spec.seed, "NN_prompt.1.bias"))
                                        .reshape({pd}));

  for (const auto& [name, tensor] : editEncoder.weights.flatten()) {
    table.emplace(std::string(kEncoderPrefix) + name, inFp32(tensor));
  }
  if (spec.tunesBase()) {
    for (const std::string& name : tunedWeights(spec, base)) {
      table.emplace(std::string(kBasePrefix) + name, inFp32(base.weights.at(name)));
    }
  }
  for (auto& [name, tensor] : table) {
    tensor = tensor.detach().to(base.device, at::kFloat, false, true).contiguous();
  }
  parameters_ = std::move(table);
  bindEncoder();
}

void SeprogModules::bindEncoder() {
  TensorTable encoder;
  for (const auto& [name, tensor] : parameters_) {
    if (name.starts_with(kEncoderPrefix)) encoder.emplace(name.substr(kEncoderPrefix.size()), tensor);
  }
  encoderWeights_ = Weights(std::move(encoder));
}

SeprogModules SeprogModules::with(TensorTable parameters) const {
  SeprogModules other = *this;
  other.parameters_ = std::move(parameters);
  other.bindEncoder();
  return other;
}

SeprogModules SeprogModules::tracked() const {
  TensorTable leaves;
  for (const auto& [name, tensor] : parameters_) {
    const bool frozen = name.starts_with(kBasePrefix) && spec_.finetuneLearningRate == 0;
    leaves.emplace(name, tensor.detach().set_requires_grad(!frozen));
  }
  return with(std::move(leaves));
}

SeprogModules SeprogModules::clone() const {
  const RoleScope role(MemoryRole::Editor);
  TensorTable copies;
  for (const auto& [name, tensor] : parameters_) copies.emplace(name, tensor.clone());
  return with(std::move(copies));
}

Model SeprogModules::tuned(const Model& base) const {
  if (!spec_.tunesBase()) return base;
  TensorTable tuned;
  for (const auto& [name, tensor] : parameters_) {
    if (name.starts_with(kBasePrefix)) tuned.emplace(name.substr(kBasePrefix.size()), tensor);
  }
  return Model{base.architecture, base.weights.with(std::move(tuned)), base.device};
}

at::Tensor SeprogModules::poolEdits(const TokenBatch& z) const {
  const Encoded states = encoder_->encode(encoderWeights_, z);  // R2, R3
  return pool(states.h_BSD, z, spec_.editPool);                 // R4
}

at::Tensor SeprogModules::embedEdits(const TokenBatch& z) const {
  const at::Tensor H_KH = at::linear(poolEdits(z), parameters_.at("W_o"), parameters_.at("b_o"));  // R5
  switch (spec_.editActivation) {
    case EditActivation::None:
      return H_KH;
    case EditActivation::Tanh:
      return at::tanh(H_KH);
    case EditActivation::Relu:
      return at::relu(H_KH);
  }
  return H_KH;
}

CrossAttention SeprogModules::select(const at::Tensor& b_nRDb, const at::Tensor& H_nKH,
                                     CrossAttentionWants wants) const {
  if (!spec_.hasAttention()) {
    CrossAttention even;
    even.h_nRH = H_nKH.mean(1, true).expand({b_nRDb.size(0), b_nRDb.size(1), H_nKH.size(2)});
    return even;
  }
  const double scale = 1.0 / std::sqrt(static_cast<double>(spec_.hiddenWidth));
  const at::Tensor q_nRH = at::linear(b_nRDb, parameters_.at("W_att"));  // R1
  return crossAttention(q_nRH, H_nKH, scale, wants);                     // R7
}

at::Tensor SeprogModules::scopeLogit(const at::Tensor& h, const at::Tensor& b) const {
  at::Tensor x = at::cat({h, b}, -1);
  for (int64_t layer = 0; layer < spec_.scopeLayers; ++layer) {  // R8
    const std::string name = "NN_e." + std::to_string(layer);
    x = at::linear(x, parameters_.at(name + ".weight"), parameters_.at(name + ".bias"));
    if (layer + 1 < spec_.scopeLayers) x = at::relu(x);
  }
  return x.squeeze(-1);
}

at::Tensor SeprogModules::prompts(const at::Tensor& h_BH) const {
  const at::Tensor u_BH =
      at::relu(at::linear(h_BH, parameters_.at("NN_prompt.0.weight"), parameters_.at("NN_prompt.0.bias")));
  return at::linear(u_BH, parameters_.at("NN_prompt.1.weight"), parameters_.at("NN_prompt.1.bias"))
      .view({h_BH.size(0), spec_.promptLength, embeddingWidth_});  // R9: row-major p × d
}

}  // namespace seprog
