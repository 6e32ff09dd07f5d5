#include "mend_modules.h"

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "../../instrument/memory_role.h"
#include "../../tensor/random.h"

namespace seprog {
namespace {

at::Tensor xavierTensor(Random&& random, int64_t rows, int64_t columns, double gain) {
  const double bound = gain * std::sqrt(6.0 / static_cast<double>(rows + columns));
  return random.uniformTensor({rows, columns}, -bound, bound);
}

/// Matrices of one shape, by inputs and outputs, form a group in the order of the list; apart, each is its own.
void assignGroups(bool shared, std::vector<EditedMatrix>& matrices, std::vector<MatrixGroup>& groups) {
  for (size_t i = 0; i < matrices.size(); ++i) {
    EditedMatrix& matrix = matrices[i];
    const std::string shape = std::to_string(matrix.inputs) + "x" + std::to_string(matrix.outputs);
    const std::string name = shared ? shape : std::to_string(i);
    const auto found = std::find_if(groups.begin(), groups.end(),
                                    [&](const MatrixGroup& group) { return group.name == name; });
    matrix.group = static_cast<size_t>(found - groups.begin());
    if (found == groups.end()) groups.push_back({name, matrix.inputs, matrix.outputs, 0});
    if (shared) matrix.mode = groups[matrix.group].modes++;
  }
}

void addNetwork(const MendSpec& spec, const NetworkPart& part, int64_t modes, TensorTable& parameters) {
  const int64_t rank = std::min(spec.rank, part.width);
  for (size_t i = 0; i < 2; ++i) {
    const std::string block = part.prefix + blockName(i);
    const auto draw = [&](const char* name) { return Random(spec.seed, block + name); };
    const bool identity = spec.init == NetworkStart::Identity;
    const bool normal = identity && spec.projectionDraw == ProjectionDraw::Normal;
    // A random start keeps the scale of its input through the rectifier: a gain of √2.
    parameters[block + "U"] = identity ? at::zeros({part.width, rank}, at::kFloat)
                                       : xavierTensor(draw("U"), part.width, rank, std::sqrt(2.0));
    parameters[block + "V"] = normal ? draw("V").normalTensor({rank, part.width}, 0, 1)
                                     : xavierTensor(draw("V"), rank, part.width, 1);
    parameters[block + "b"] = at::zeros({part.width}, at::kFloat);
    if (modes == 0) continue;
    parameters[block + "s"] = at::ones({modes, part.width}, at::kFloat);
    parameters[block + "o"] = at::zeros({modes, part.width}, at::kFloat);
  }
}

}  // namespace

MendModules::MendModules(const MendSpec& spec, const Model& base) : spec_(spec) {
  const bool inputMajor = base.architecture->family() == "gpt2";
  for (const std::string& name : base.architecture->editableWeights()) {
    const at::Tensor& weight = base.weights.at(name);
    matrices_.push_back({name, weight.size(inputMajor ? 0 : 1), weight.size(inputMajor ? 1 : 0), inputMajor});
  }
  assignGroups(spec.shared, matrices_, groups_);
  for (const MatrixGroup& group : groups_) {
    for (const NetworkPart& part : parts(group)) addNetwork(spec, part, group.modes, parameters_);
  }
  parameters_["alpha"] = at::full({static_cast<int64_t>(matrices_.size())}, spec.alphaInit, at::kFloat);
  for (auto& [name, tensor] : parameters_) tensor = tensor.to(base.device);
}

MendModules MendModules::with(TensorTable parameters) const {
  MendModules other = *this;
  other.parameters_ = std::move(parameters);
  return other;
}

MendModules MendModules::tracked() const {
  TensorTable leaves;
  for (const auto& [name, tensor] : parameters_) {
    leaves.emplace(name, tensor.detach().set_requires_grad(true));
  }
  return with(std::move(leaves));
}

std::vector<NetworkPart> MendModules::parts(const MatrixGroup& group) const {
  const std::string net = "net" + group.name + ".";
  const NetworkPart inputs{net + "u.", 0, group.inputs};
  const NetworkPart deltas{net + "delta.", group.inputs, group.outputs};
  switch (spec_.transform) {
    case FactorTransform::Combined:
      break;
    case FactorTransform::Separate:
      return {inputs, deltas};
    case FactorTransform::InputsOnly:
      return {inputs};
    case FactorTransform::DeltasOnly:
      return {deltas};
    case FactorTransform::SmallerOnly:
      return {group.inputs > group.outputs ? deltas : inputs};
  }
  return {{net, 0, group.inputs + group.outputs}};
}

EditorNetwork MendModules::network(const NetworkPart& part) const {
  return EditorNetwork(parameters_, part.prefix, spec_.init == NetworkStart::Identity);
}

Gradients zeroGradients(const TensorTable& parameters) {
  const RoleScope role(MemoryRole::Gradients);
  Gradients gradients;
  for (const auto& [name, tensor] : parameters) gradients.emplace(name, at::zeros_like(tensor));
  return gradients;
}

}  // namespace seprog
