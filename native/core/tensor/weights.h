// Immutable tables from Hugging Face tensor names, verbatim, to tensors.
// An overlay shares everything it does not replace; its entries may carry an autograd graph, which replaces
// functional_call and deepcopy of other stacks.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace seprog {

using TensorTable = std::map<std::string, at::Tensor, std::less<>>;

class Weights {
 public:
  Weights() = default;
  explicit Weights(TensorTable table);
  /// Weights made from others by rounding, known by the checksum of those.
  Weights(TensorTable table, uint64_t sourceChecksum);

  /// Throws WEIGHT_MISSING naming the tensor.
  const at::Tensor& at(std::string_view name) const;
  const at::Tensor* find(std::string_view name) const;
  /// This table with `replacements` on top; throws WEIGHT_MISSING for a name that does not exist here and
  /// SHAPE_MISMATCH for another shape.
  Weights with(TensorTable replacements) const;
  /// All names, sorted, overlays resolved.
  std::vector<std::string> names() const;
  TensorTable flatten() const;
  int64_t parameterCount() const;
  /// FNV-1a over names, shapes and bytes: equal iff the tables hold the same bits. Of rounded weights themselves, without
  /// replacements on top, that of their source.
  uint64_t checksum() const;

 private:
  struct Layer {
    TensorTable table;
    std::shared_ptr<const Layer> below;
    std::optional<uint64_t> sourceChecksum;
  };
  std::shared_ptr<const Layer> top_;
};

/// Input and output of chosen linears, recorded while a model runs (MEND's factors); see Scope.
struct Taps {
  struct Record {
    at::Tensor input;   // [rows, in]
    at::Tensor output;  // [rows, out]
  };
  std::map<std::string, Record, std::less<>> wanted;  // weight name → record, filled during the forward pass
};

/// A name prefix into Weights: (scope / "layer.0" / "SelfAttention")["q.weight"].
class Scope {
 public:
  explicit Scope(const Weights& weights, Taps* taps = nullptr) : weights_(&weights), taps_(taps) {}
  Scope operator/(std::string_view child) const;
  const at::Tensor& operator[](std::string_view name) const;
  const at::Tensor* find(std::string_view name) const;
  std::string path(std::string_view name) const;
  Taps* taps() const { return taps_; }

 private:
  const Weights* weights_;
  Taps* taps_;
  std::string prefix_;
};

}  // namespace seprog
