#include "weights.h"

#include <sstream>

#include "../error.h"
#include "../fnv.h"
#include "../plan/planned_device.h"

namespace seprog {
namespace {

std::string shapeText(at::IntArrayRef shape) {
  std::ostringstream out;
  out << shape;
  return out.str();
}

}  // namespace

Weights::Weights(TensorTable table)
    : top_(std::make_shared<const Layer>(Layer{std::move(table), nullptr, {}})) {}

Weights::Weights(TensorTable table, uint64_t sourceChecksum)
    : top_(std::make_shared<const Layer>(Layer{std::move(table), nullptr, sourceChecksum})) {}

const at::Tensor* Weights::find(std::string_view name) const {
  for (const Layer* layer = top_.get(); layer != nullptr; layer = layer->below.get()) {
    const auto found = layer->table.find(name);
    if (found != layer->table.end()) return &found->second;
  }
  return nullptr;
}

const at::Tensor& Weights::at(std::string_view name) const {
  const at::Tensor* tensor = find(name);
  if (tensor == nullptr) {
    fail(ErrorCode::WeightMissing, "expected a tensor for `" + std::string(name) + "` but received none");
  }
  return *tensor;
}

Weights Weights::with(TensorTable replacements) const {
  for (const auto& [name, tensor] : replacements) {
    const at::Tensor& current = at(name);
    if (current.sizes() != tensor.sizes()) {
      fail(ErrorCode::ShapeMismatch, "expected shape " + shapeText(current.sizes()) + " for `" + name +
                                         "` but received " + shapeText(tensor.sizes()));
    }
  }
  Weights overlay;
  overlay.top_ = std::make_shared<const Layer>(Layer{std::move(replacements), top_, {}});
  return overlay;
}

TensorTable Weights::flatten() const {
  TensorTable all;
  for (const Layer* layer = top_.get(); layer != nullptr; layer = layer->below.get()) {
    all.insert(layer->table.begin(), layer->table.end());
  }
  return all;
}

std::vector<std::string> Weights::names() const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : flatten()) names.push_back(name);
  return names;
}

int64_t Weights::parameterCount() const {
  int64_t count = 0;
  for (const auto& [name, tensor] : flatten()) count += tensor.numel();
  return count;
}

uint64_t Weights::checksum() const {
  if (top_ && top_->sourceChecksum) return *top_->sourceChecksum;
  Fnv hash;
  for (const auto& [name, tensor] : flatten()) {
    hash.bytes(name.data(), name.size() + 1);
    const int64_t rank = tensor.dim();
    hash.bytes(&rank, sizeof rank);
    hash.bytes(tensor.sizes().data(), rank * sizeof(int64_t));
    const auto type = static_cast<int8_t>(tensor.scalar_type());
    hash.bytes(&type, sizeof type);
    if (!holdsData(tensor)) continue;
    const at::Tensor plain = tensor.detach().to(at::kCPU).contiguous();
    hash.bytes(plain.const_data_ptr(), plain.nbytes());
  }
  return hash.value();
}

Scope Scope::operator/(std::string_view child) const {
  Scope inner = *this;
  inner.prefix_.append(child).append(".");
  return inner;
}

std::string Scope::path(std::string_view name) const { return prefix_ + std::string(name); }

const at::Tensor& Scope::operator[](std::string_view name) const { return weights_->at(path(name)); }

const at::Tensor* Scope::find(std::string_view name) const { return weights_->find(path(name)); }

}  // namespace seprog
