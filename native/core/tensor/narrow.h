// Frozen matrices in types narrower than fp32. O outputs, I inputs; a matrix is [O, I], or [I, O] where its outputs are
// its columns (GPT-2's Conv1D).
#pragma once

#include <ATen/core/Tensor.h>

namespace seprog {

inline bool isNarrow(const at::Tensor& W) {
  const at::ScalarType type = W.scalar_type();
  return type == at::kHalf || type == at::kBFloat16 || type == at::kQInt8;
}

/// The values of a narrow matrix in fp32; any other tensor as it is.
at::Tensor inFp32(const at::Tensor& W);

/// What products with an 8-bit matrix need. It goes with the tensor that quantised() has made and with nothing derived
/// from it: a matrix put in its place, or a copy, is multiplied as what it is.
struct Int8Matrix {
  at::Tensor codes_OI;  // row-major, in the tensor's own memory; [I, O] where outputs are columns
  at::Tensor scale_O;   // value = scale · code, codes −127 … 127
  at::Tensor packed;    // as oneDNN multiplies with it
  at::Tensor zero_O;    // its zero points
};

/// W rounded to 8 bits with one scale an output: the largest magnitude becomes code 127. `outputs`: the dimension of
/// the outputs, 0 or 1. On the CPU.
at::Tensor quantised(const at::Tensor& W, int64_t outputs);
/// nullptr for any tensor that quantised() has not made.
const Int8Matrix* int8Of(const at::Tensor& W);

}  // namespace seprog
