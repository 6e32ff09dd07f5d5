#include "base_dtype.h"

#include <ATen/TensorOperators.h>
#include <ATen/cpu/Utils.h>

#include <array>
#include <cmath>

#include "../error.h"
#include "../plan/planned_device.h"
#include "../tensor/narrow.h"

namespace seprog {
namespace {

constexpr std::array kNames = {"fp32", "fp16", "bf16", "int8"};

[[noreturn]] void refuse(BaseDtype dtype, const char* expected, const char* reason) {
  fail(ErrorCode::Unsupported, std::string("expected ") + expected +
                                   " for `dtype` of the base model but received \"" + dtypeName(dtype) +
                                   "\"; " + reason);
}

}  // namespace

const char* dtypeName(BaseDtype dtype) { return kNames.at(static_cast<size_t>(dtype)); }

BaseDtype dtypeFrom(const std::string& name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) return static_cast<BaseDtype>(i);
  }
  fail(
      ErrorCode::ConfigInvalid,
      "expected one of \"fp32\", \"fp16\", \"bf16\", \"int8\" for `dtype` of the base model but received \"" +
          name + "\"");
}

void demandDtype(BaseDtype dtype, const c10::Device& device) {
  if (dtype == BaseDtype::Int8) {
    if (!device.is_cpu()) {
      refuse(dtype, "\"fp32\", \"fp16\" or \"bf16\"", "8-bit products are those of the CPU");
    }
    if (!at::cpu::is_avx512_vnni_supported()) {
      refuse(dtype, "\"fp32\"", "this processor has no instructions for exact 8-bit products (AVX-512 VNNI)");
    }
  }
  if (!device.is_cpu()) return;
  if (dtype == BaseDtype::Fp16) {
    refuse(dtype, "\"fp32\", \"bf16\" or \"int8\"",
           "libtorch multiplies fp16 on the CPU slower than fp32; it is meant for GPUs");
  }
  if (dtype == BaseDtype::Bf16 && !at::cpu::is_avx512_bf16_supported() && !at::cpu::is_amx_tile_supported()) {
    refuse(
        dtype, "\"fp32\" or \"int8\"",
        "this processor has no instructions for it (AVX-512 BF16 or AMX), and emulated it is several times "
        "slower than fp32");
  }
}

at::Tensor narrowed(const at::Tensor& W, BaseDtype dtype, Narrowing how, const std::string& name) {
  if (how == Narrowing::None || dtype == BaseDtype::Fp32) return W;
  if (dtype == BaseDtype::Int8) return quantised(W, how == Narrowing::OutputsAreRows ? 0 : 1);
  if (dtype == BaseDtype::Bf16) return W.to(at::kBFloat16);
  at::Tensor half = W.to(at::kHalf);
  if (holdsData(half) && half.numel() > 0 && !std::isfinite(half.abs().max().item<float>())) {
    fail(ErrorCode::NonFinite,
         "expected values of at most 65504 for `" + name + "` in fp16 but received larger; use bf16 or fp32");
  }
  return half;
}

}  // namespace seprog
