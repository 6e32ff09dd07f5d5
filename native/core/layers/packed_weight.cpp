#include "packed_weight.h"

#include <ATen/core/grad_mode.h>

#include <mutex>

#include "../instrument/memory_role.h"
#include "../tensor/matmul_backend.h"
#include "../tensor/onednn_order.h"

namespace seprog {
namespace {

class Packing final : public c10::BackendMeta {
 public:
  /// W or its transpose, packed: which of the two is a matter of where its outputs are.
  const at::Tensor& of(const at::Tensor& W, bool turned) {
    Order& order = turned ? turned_ : plain_;
    std::call_once(order.once, [&] {
      const at::NoGradGuard noGraph;
      const RoleScope role(MemoryRole::Weights);
      order.packed = oneDnnOrder(turned ? W.t() : W);
    });
    return order.packed;
  }

 private:
  struct Order {
    std::once_flag once;
    at::Tensor packed;
  };
  Order plain_;
  Order turned_;
};

at::Tensor packedIn(const at::Tensor& W, bool turned) {
  if (W.requires_grad() || !packsFrozenWeights()) return {};
  auto* packing = dynamic_cast<Packing*>(W.unsafeGetTensorImpl()->get_backend_meta());
  return packing == nullptr ? at::Tensor() : packing->of(W, turned);
}

}  // namespace

void allowPacking(const at::Tensor& W) {
  const bool packable = W.dim() == 2 && W.is_cpu() && W.scalar_type() == at::kFloat && W.numel() > 0;
  if (packable) W.unsafeGetTensorImpl()->set_backend_meta(c10::make_intrusive<Packing>());
}

at::Tensor packedOf(const at::Tensor& W, bool transposed) { return packedIn(W, transposed); }

at::Tensor packedBackOf(const at::Tensor& W, bool transposed) { return packedIn(W, !transposed); }

}  // namespace seprog
