// What libtorch's meta device lacks, or would answer with an error. Each kernel allocates what the CPU's does.
#include "plan_kernels.h"

#include <ATen/ExpandUtils.h>
#include <ATen/WrapDimUtils.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/result_type.h>
#include <torch/library.h>

#include <array>
#include <optional>
#include <tuple>
#include <vector>

#include "plan_allocator.h"
#include "planned_device.h"

namespace seprog {
namespace {

bool fillsStorage(const at::Tensor& tensor) {
  return tensor.is_contiguous() && tensor.storage_offset() == 0 &&
         tensor.nbytes() == tensor.storage().nbytes();
}

/// To a planned tensor: nothing but indices is kept. From one: its values as far as known, else the assumed.
at::Tensor& copyInto(at::Tensor& self, const at::Tensor& source, bool) {
  if (self.is_meta()) {
    const bool indices = self.scalar_type() == at::kLong && source.scalar_type() == at::kLong;
    if (indices && holdsData(source) && fillsStorage(self)) keepHostValues(self, source);
    return self;
  }
  const at::Tensor known = hostValues(source);
  if (known.defined()) return self.copy_(known);
  return self.fill_(assumedElement(self.scalar_type()));
}

at::Scalar scalarOf(const at::Tensor& self) {
  const at::Tensor known = hostValues(self);
  return known.defined() ? known.item() : assumedScalar(self.scalar_type());
}

at::Tensor sameShape(const at::Tensor& self) { return at::empty_like(self); }
at::Tensor flags(const at::Tensor& self) { return at::empty_like(self, self.options().dtype(at::kBool)); }
at::Tensor flagsOfTwo(const at::Tensor& self, const at::Tensor&) { return flags(self); }

/// Counted on the host, so that its values are known.
at::Tensor countedTo(const at::Scalar& end, std::optional<at::ScalarType> type, std::optional<at::Layout>,
                     std::optional<at::Device> device, std::optional<bool>) {
  return at::arange(end, at::TensorOptions().dtype(type).device(at::kCPU)).to(*device);
}

at::Tensor choice(const at::Tensor& condition, const at::Tensor& self, const at::Tensor& other) {
  const std::vector<int64_t> shape =
      at::infer_size(at::infer_size(condition.sizes(), self.sizes()), other.sizes());
  return at::empty(shape, self.options().dtype(at::result_type(self, other)));
}

at::Tensor& inPlace(at::Tensor& self, const at::Tensor&) { return self; }

at::Tensor indexSelect(const at::Tensor& self, int64_t dim, const at::Tensor& index) {
  std::vector<int64_t> shape(self.sizes().begin(), self.sizes().end());
  if (!shape.empty()) shape[at::maybe_wrap_dim(dim, self.dim())] = index.numel();
  return at::empty(shape, self.options());
}

at::Tensor embeddingGradient(const at::Tensor& above, const at::Tensor&, int64_t rows, int64_t, bool) {
  return at::empty({rows, above.size(-1)}, above.options());
}

/// Every row is kept.
at::Tensor nonzeroIndices(const at::Tensor& self) {
  return at::empty({self.numel(), self.dim()}, self.options().dtype(at::kLong));
}

at::Tensor dotProduct(const at::Tensor& self, const at::Tensor&) { return at::empty({}, self.options()); }

std::tuple<at::Tensor, at::Tensor> logSigmoid(const at::Tensor& self) {
  return {at::empty_like(self), at::empty_like(self)};
}

at::Tensor logSigmoidGradient(const at::Tensor&, const at::Tensor& self, const at::Tensor&) {
  return at::empty_like(self);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> layerNorm(const at::Tensor& x, at::IntArrayRef normalised,
                                                         const std::optional<at::Tensor>&,
                                                         const std::optional<at::Tensor>&, double) {
  std::vector<int64_t> perRow(x.sizes().begin(), x.sizes().end());
  for (size_t i = 0; i < normalised.size(); ++i) perRow[perRow.size() - 1 - i] = 1;
  return {at::empty_like(x, at::MemoryFormat::Contiguous), at::empty(perRow, x.options()),
          at::empty(perRow, x.options())};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> layerNormGradients(const at::Tensor&, const at::Tensor& x,
                                                                  at::IntArrayRef, const at::Tensor&,
                                                                  const at::Tensor&,
                                                                  const std::optional<at::Tensor>& weight,
                                                                  const std::optional<at::Tensor>& bias,
                                                                  std::array<bool, 3> wanted) {
  const auto like = [](const at::Tensor& t) { return at::empty_like(t, at::MemoryFormat::Contiguous); };
  return {wanted[0] ? like(x) : at::Tensor(), wanted[1] ? like(*weight) : at::Tensor(),
          wanted[2] ? like(*bias) : at::Tensor()};
}

/// Adam in place, of any kind.
void fusedStep(at::TensorList, at::TensorList, at::TensorList, at::TensorList, at::TensorList, at::TensorList,
               double, double, double, double, double, bool, bool, const std::optional<at::Tensor>&,
               const std::optional<at::Tensor>&) {}

}  // namespace

void installPlanKernels() {
  // Written for those who look for leaks: nothing else reads it.
  [[gnu::used]] static const auto* kernels = [] {
    auto* meta = new torch::Library(torch::Library::IMPL, "aten", c10::DispatchKey::Meta, __FILE__, __LINE__);
    meta->impl("copy_", TORCH_FN(copyInto));
    meta->impl("_local_scalar_dense", TORCH_FN(scalarOf));
    meta->impl("abs", TORCH_FN(sameShape));
    meta->impl("relu", TORCH_FN(sameShape));
    meta->impl("logical_not", TORCH_FN(flags));
    meta->impl("logical_and", TORCH_FN(flagsOfTwo));
    meta->impl("logical_or", TORCH_FN(flagsOfTwo));
    meta->impl("logical_and_", TORCH_FN(inPlace));
    meta->impl("logical_or_", TORCH_FN(inPlace));
    meta->impl("where.self", TORCH_FN(choice));
    meta->impl("arange", TORCH_FN(countedTo));
    meta->impl("index_select", TORCH_FN(indexSelect));
    meta->impl("embedding_dense_backward", TORCH_FN(embeddingGradient));
    meta->impl("nonzero", TORCH_FN(nonzeroIndices));
    meta->impl("dot", TORCH_FN(dotProduct));
    meta->impl("log_sigmoid_forward", TORCH_FN(logSigmoid));
    meta->impl("log_sigmoid_backward", TORCH_FN(logSigmoidGradient));
    meta->impl("_fused_adam_", TORCH_FN(fusedStep));
    meta->impl("_fused_adamw_", TORCH_FN(fusedStep));
    meta->impl("native_layer_norm", TORCH_FN(layerNorm));
    meta->impl("native_layer_norm_backward", TORCH_FN(layerNormGradients));
    return meta;
  }();
  (void)kernels;
}

}  // namespace seprog
