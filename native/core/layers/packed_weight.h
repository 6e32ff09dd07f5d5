// Matrices of a frozen base in oneDNN's own order (tensor/onednn_order.h), each way made when a product first asks for it. The
// plain matrix stays beside them: what needs a second derivative, and its owner, read that.
#pragma once

#include <ATen/core/Tensor.h>

namespace seprog {

/// Allows a matrix to be packed: its memory is never written to again. What is put in its place, a copy or a view is not
/// packed.
void allowPacking(const at::Tensor& W);

/// `W`, and `W` of the way back (dX = dY W), for oneDnnLinear(); undefined where it is not to be packed. `transposed`: W is
/// [I, O] and not [O, I].
at::Tensor packedOf(const at::Tensor& W, bool transposed = false);
at::Tensor packedBackOf(const at::Tensor& W, bool transposed = false);

}  // namespace seprog
