#include "seprog_modules.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tanh.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "../../error.h"

namespace seprog {
namespace {

constexpr std::string_view kEncoderPrefix = "edit_encoder.";

/// PyTorch's default for nn.Linear: uniform in ±1/√fan_in, weight and bias alike.
at::Tensor uniform(at::IntArrayRef shape, int64_t fanIn, at::Generator& generator) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(fanIn));
  return at::empty(shape, at::kFloat).uniform_(-bound, bound, generator);
}

/// p rows of the embedding table, drawn from its most frequent ids: the vocabularies of the base families are sorted by
/// frequency behind their special tokens.
at::Tensor frequentRows(const at::Tensor& table_VD, const Architecture& base, int64_t rows, int64_t frequentIds,
                        at::Generator& generator) {
  const int64_t first = std::max({base.padId(), base.startId(), base.stopId()}) + 1;
  const bool specialsLead = first + rows <= base.vocabulary();
  const int64_t low = specialsLead ? first : 0;
  const int64_t count = std::min(frequentIds, base.vocabulary() - low);
  const at::Tensor ids = count >= rows ? at::randperm(count, generator, at::kLong).narrow(0, 0, rows)
                                       : at::randint(count, {rows}, generator, at::kLong);
  return table_VD.index_select(0, ids.add(low));
}

}  // namespace

SeprogModules::SeprogModules(const SeprogSpec& spec, const Model& editEncoder, const Model& base)
    : spec_(spec), encoder_(editEncoder.architecture), embeddingWidth_(base.architecture->embeddingWidth()) {
  at::NoGradGuard noGrad;
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(spec.seed);
  const int64_t h = spec.hiddenWidth;
  const int64_t d_b = base.architecture->hiddenWidth();
  const int64_t d_edit = encoder_->hiddenWidth();
  const int64_t pd = spec.promptLength * embeddingWidth_;

  TensorTable table;
  table.emplace("W_o", uniform({h, d_edit}, d_edit, generator));
  table.emplace("b_o", uniform({h}, d_edit, generator));
  table.emplace("W_att", uniform({h, d_b}, d_b, generator));
  int64_t in = h + d_b;
  for (int64_t layer = 0; layer < spec.scopeLayers; ++layer) {
    const int64_t out = layer + 1 < spec.scopeLayers ? h : 1;
    const std::string name = "NN_e." + std::to_string(layer);
    table.emplace(name + ".weight", uniform({out, in}, in, generator));
    table.emplace(name + ".bias", uniform({out}, in, generator));
    in = out;
  }
  table.emplace("NN_prompt.0.weight", uniform({h, h}, h, generator));
  table.emplace("NN_prompt.0.bias", uniform({h}, h, generator));
  // R10: the first prompts are embeddings of frequent tokens plus a little noise of the table's own scale.
  const at::Tensor E_VD = base.architecture->embeddingTable(base.weights).to(at::kCPU, at::kFloat);
  const double s = E_VD.pow(2).mean().sqrt().item<double>();
  table.emplace("NN_prompt.1.weight",
                at::empty({pd, h}, at::kFloat).normal_(0.0, 0.02 * spec.promptInitScale * s, generator));
  table.emplace("NN_prompt.1.bias",
                frequentRows(E_VD, *base.architecture, spec.promptLength, spec.frequentIds, generator).reshape({pd}));

  for (const auto& [name, tensor] : editEncoder.weights.flatten()) {
    table.emplace(std::string(kEncoderPrefix) + name, tensor);
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
  for (const auto& [name, tensor] : parameters_) leaves.emplace(name, tensor.detach().set_requires_grad(true));
  return with(std::move(leaves));
}

SeprogModules SeprogModules::clone() const {
  TensorTable copies;
  for (const auto& [name, tensor] : parameters_) copies.emplace(name, tensor.clone());
  return with(std::move(copies));
}

at::Tensor SeprogModules::embedEdits(const TokenBatch& z) const {
  const Encoded states = encoder_->encode(encoderWeights_, z);                                   // R2, R3
  const at::Tensor pooled_KDe = pool(states.h_BSD, z, spec_.editPool);                           // R4
  const at::Tensor H_KH = at::linear(pooled_KDe, parameters_.at("W_o"), parameters_.at("b_o"));  // R5
  switch (spec_.editActivation) {
    case EditActivation::None: return H_KH;
    case EditActivation::Tanh: return at::tanh(H_KH);
    case EditActivation::Relu: return at::relu(H_KH);
  }
  return H_KH;
}

SeprogModules::Selection SeprogModules::select(const at::Tensor& b_nRDb, const at::Tensor& H_nKH) const {
  const double scale = 1.0 / std::sqrt(static_cast<double>(spec_.hiddenWidth));
  const at::Tensor q_nRH = at::linear(b_nRDb, parameters_.at("W_att"));                        // R1
  const at::Tensor alpha_nRK = at::softmax(at::bmm(q_nRH, H_nKH.transpose(1, 2)).mul(scale), -1);  // R7
  return {alpha_nRK, at::bmm(alpha_nRK, H_nKH)};
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
