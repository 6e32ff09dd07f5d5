// In which type a frozen base keeps its large matrices, those of its products and the token embeddings. Everything between
// them is fp32: activations, norms, softmax, T5's residual stream and feed-forward output, and whatever an editor trains.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <string>

namespace seprog {

/// Fp16, Bf16: products of rounded rows with rounded weights. Int8: weights with one scale an output, rows with a scale of
/// their own at every product; such a base only answers (layers/narrow_linear.h).
enum class BaseDtype { Fp32, Fp16, Bf16, Int8 };

/// Whether a matrix is stored in the base's type, and where its outputs are.
enum class Narrowing { None, OutputsAreRows, OutputsAreColumns };

/// "fp32", "fp16", "bf16", "int8".
const char* dtypeName(BaseDtype dtype);
/// Throws CONFIG_INVALID for another word.
BaseDtype dtypeFrom(const std::string& name);

/// Throws UNSUPPORTED where nothing is won by the type or the device lacks it: fp16 on the CPU, bf16 on a CPU without
/// instructions for it, int8 on anything but a CPU with VNNI. libtorch itself computes bf16 on every GPU that is served.
void demandDtype(BaseDtype dtype, const c10::Device& device);

/// `W` as a base of this type stores it. `name` is for messages. Throws NON_FINITE where fp16 cannot hold a weight.
at::Tensor narrowed(const at::Tensor& W, BaseDtype dtype, Narrowing how, const std::string& name);

}  // namespace seprog
