// Bases of narrower types: how far they are from fp32, that rows still do not know of each other, and what they refuse.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <ATen/cpu/Utils.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <string>

#include "core/decode/generate.h"
#include "core/layers/linear.h"
#include "core/layers/narrow_linear.h"
#include "core/models/model.h"
#include "core/tensor/narrow.h"
#include "failure.h"
#include "family_parts.h"

namespace seprog {
namespace {

using namespace tiny;

/// What a type may change in logits, as a share of their largest: a rounding of 2⁻⁹ (bf16), 2⁻¹² (fp16) or 1/254 of a
/// row's largest value (int8) at each of some 20 products, of which many cancel.
double toleranceOf(BaseDtype dtype) {
  return dtype == BaseDtype::Fp16 ? 0.01 : dtype == BaseDtype::Bf16 ? 0.05 : 0.15;
}

/// The model in a type that the loader may refuse on this device.
Model inDtype(const Model& model, BaseDtype dtype) {
  TensorTable table;
  for (const auto& [name, W] : model.weights.flatten()) {
    const Narrowing how = W.dim() == 2 ? model.architecture->narrowing(name, dtype) : Narrowing::None;
    table.emplace(name, narrowed(W, dtype, how, name));
  }
  return Model{model.architecture, Weights(std::move(table), model.weights.checksum()), at::kCPU, dtype};
}

class InEveryDtype : public testing::TestWithParam<std::tuple<Family, BaseDtype>> {
 protected:
  const BaseDtype dtype = std::get<1>(GetParam());
  const Model wide = createModel(std::get<0>(GetParam()).config(), 5, at::kCPU);
  const Model narrow = inDtype(wide, dtype);
};
INSTANTIATE_TEST_SUITE_P(Families, InEveryDtype,
                         testing::Combine(testing::ValuesIn(kFamilies),
                                          testing::Values(BaseDtype::Fp16, BaseDtype::Bf16, BaseDtype::Int8)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param).name) + "_" +
                                  dtypeName(std::get<1>(info.param));
                         });

TEST_P(InEveryDtype, AnswersAreThoseOfFp32ButForRounding) {
  const at::NoGradGuard frozen;
  const Asked asked = ask(*wide.architecture, 9);
  const at::Tensor wanted = logits(wide, asked);
  const at::Tensor got = logits(narrow, asked);
  EXPECT_EQ(got.scalar_type(), at::kFloat);
  EXPECT_LE(relativeError(got, wanted), toleranceOf(dtype));
  EXPECT_GT(relativeError(got, wanted), 0) << "nothing was rounded";
}

TEST_P(InEveryDtype, LargeMatricesAreNarrowAndTheRestIsFp32) {
  int64_t narrowed = 0;
  int64_t all = 0;
  for (const auto& [name, W] : narrow.weights.flatten()) {
    all += W.numel();
    if (isNarrow(W)) {
      narrowed += W.numel();
      EXPECT_EQ(W.dim(), 2) << name;
    }
    EXPECT_EQ(W.sizes(), wide.weights.at(name).sizes()) << name;
    const double largest = wide.weights.at(name).abs().max().item<double>();
    EXPECT_LE((inFp32(W) - wide.weights.at(name)).abs().max().item<double>(), largest / 200) << name;
  }
  EXPECT_GT(static_cast<double>(narrowed), 0.6 * static_cast<double>(all));
  EXPECT_EQ(narrow.weights.checksum(), wide.weights.checksum());
}

TEST_P(InEveryDtype, ARowOfASelectionHasTheBitsItHasInTheWhole) {
  const at::NoGradGuard frozen;
  const Asked all = ask(*wide.architecture, 23);
  const Architecture& family = *narrow.architecture;
  const Encoded encoded = family.encode(narrow.weights, all.source);
  const at::Tensor whole = logits(narrow, all);
  const at::Tensor first = family.startDecode(narrow.weights, encoded, {})->first();
  for (const std::vector<int64_t>& rows : std::vector<std::vector<int64_t>>{
           {0}, {7, 3}, {0, 4, 9, 13, 21}, {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18}}) {
    const at::Tensor rows_R = at::tensor(rows, at::kLong);
    std::vector<at::Tensor> expected;
    for (const int64_t row : rows) expected.push_back(whole.index({all.targets.rowOf_N == row}));
    const Encoded some = encoded.select(rows_R);
    EXPECT_TRUE(at::equal(family.targetLogits(narrow.weights, some, all.targets.select(rows_R), {}),
                          at::cat(expected)))
        << rows.size() << " rows";
    EXPECT_TRUE(
        at::equal(family.startDecode(narrow.weights, some, {})->first(), first.index_select(0, rows_R)));
  }
}

TEST_P(InEveryDtype, ThePromptsGradientIsThatOfFp32ButForRounding) {
  const Asked asked = ask(*wide.architecture, 5);
  constexpr double kWeight = 1e-6;
  if (dtype == BaseDtype::Int8) {
    expectFailure(ErrorCode::Unsupported, "only answers", [&] { promptGradient(narrow, asked, kWeight); });
    return;
  }
  // Gradients this small would vanish in fp16 as they are.
  const at::Tensor wanted = promptGradient(wide, asked, kWeight);
  ASSERT_LT(wanted.abs().max().item<double>(), 1e-5);
  EXPECT_LE(relativeError(promptGradient(narrow, asked, kWeight), wanted), 3 * toleranceOf(dtype));
}

TEST(BaseDtype, AHalfProductHasASecondDerivative) {
  const at::Tensor weight_OI = Random(1).normalTensor({24, 16}, 0, 0.3);
  const auto second = [&](const at::Tensor& weight) {
    const at::Tensor x = Random(2).normalTensor({5, 16}, 0, 1).set_requires_grad(true);
    const at::Tensor y = isNarrow(weight) ? narrowLinear(x, weight) : at::linear(x, weight);
    const at::Tensor g = torch::autograd::grad({y.pow(3).sum()}, {x}, {}, true, true)[0];
    return torch::autograd::grad({g.square().sum()}, {x})[0];
  };
  const at::Tensor wanted = second(weight_OI);
  EXPECT_LE(relativeError(second(weight_OI.to(at::kBFloat16)), wanted), 0.05);
  EXPECT_LE(relativeError(second(weight_OI.to(at::kHalf)), wanted), 0.01);
}

/// As published T5 weights do: the feed-forward layers give what fp16 cannot hold.
TEST(BaseDtype, T5sResidualStreamLeavesTheRangeOfFp16) {
  const at::NoGradGuard frozen;
  const Model calm = createModel(config(), 5, at::kCPU);
  TensorTable table = calm.weights.flatten();
  for (auto& [name, W] : table) {
    if (name.ends_with("DenseReluDense.wo.weight")) W = W * 60000;
  }
  const Model wide{calm.architecture, Weights(std::move(table))};
  const Model half = inDtype(wide, BaseDtype::Fp16);
  EXPECT_FALSE(isNarrow(half.weights.at("encoder.block.0.layer.1.DenseReluDense.wo.weight")));
  EXPECT_TRUE(isNarrow(half.weights.at("encoder.block.0.layer.1.DenseReluDense.wi.weight")));
  Taps taps;
  taps.wanted["encoder.block.1.layer.1.DenseReluDense.wo.weight"];
  const Asked asked = ask(*wide.architecture, 9);
  half.architecture->encode(half.weights, asked.source, &taps);
  const at::Tensor& given = taps.wanted.begin()->second.output;
  EXPECT_GT(given.abs().max().item<double>(), 65504);
  EXPECT_TRUE(at::isfinite(given).all().item<bool>());
  EXPECT_LE(relativeError(logits(half, asked), logits(wide, asked)), toleranceOf(BaseDtype::Fp16));
}

TEST(BaseDtype, EightBitRowsAreExactIntegersTimesScales) {
  const at::NoGradGuard frozen;
  constexpr int64_t kRows = 7, kIn = 96, kOut = 33;
  const at::Tensor W = Random(1).normalTensor({kOut, kIn}, 0, 0.3);
  const at::Tensor bias_O = Random(4).normalTensor({kOut}, 0, 1);
  at::Tensor x = Random(2).normalTensor({kRows, kIn}, 0, 1);
  x.select(0, 3).zero_();
  x.select(0, 4).mul_(1000);
  const auto rounded = [](const at::Tensor& rows) {
    const at::Tensor scale = rows.abs().amax(1, true) / 127;
    return at::where(scale == 0, at::zeros({}), (rows / scale).round() * scale);
  };
  const at::Tensor wanted =
      at::linear(rounded(x).to(at::kDouble), rounded(W).to(at::kDouble), bias_O.to(at::kDouble));
  const at::Tensor got = narrowLinear(x, quantised(W, 0), bias_O);
  EXPECT_LE(((got - wanted).abs() / (wanted.abs() + 1)).max().item<double>(), 1e-4);
  EXPECT_TRUE(at::equal(got.select(0, 3), bias_O));
  EXPECT_TRUE(at::equal(narrowLinear(x, quantised(W.t().contiguous(), 1), bias_O), got));
  EXPECT_TRUE(at::equal(narrowLinear(x.narrow(0, 4, 1), quantised(W, 0), bias_O), got.narrow(0, 4, 1)));
  EXPECT_EQ(narrowLinear(x.narrow(0, 0, 0), quantised(W, 0), bias_O).sizes(), at::IntArrayRef({0, kOut}));
}

TEST(BaseDtype, AMatrixInThePlaceOfARoundedOneIsTakenAsItIs) {
  const at::NoGradGuard frozen;
  const Model wide = createModel(config(), 5, at::kCPU);
  const Model narrow = inDtype(wide, BaseDtype::Int8);
  const Asked asked = ask(*wide.architecture, 4);
  TensorTable replaced;
  for (const std::string& name : wide.weights.names()) replaced.emplace(name, wide.weights.at(name));
  const Model overlaid{wide.architecture, narrow.weights.with(std::move(replaced))};
  EXPECT_TRUE(at::equal(logits(overlaid, asked), logits(wide, asked)));
  EXPECT_NE(narrow.weights.with({{"shared.weight", wide.weights.at("shared.weight")}}).checksum(),
            narrow.weights.checksum());
}

TEST(BaseDtype, WhatADeviceDoesNotComputeInIsRefused) {
  expectFailure(ErrorCode::Unsupported, "it is meant for GPUs",
                [] { createModel(config(), 1, at::kCPU, BaseDtype::Fp16); });
  expectFailure(ErrorCode::Unsupported, "those of the CPU",
                [] { demandDtype(BaseDtype::Int8, c10::Device("cuda:0")); });
  expectFailure(ErrorCode::ConfigInvalid, "fp8", [] { dtypeFrom("fp8"); });
  const bool bf16 = at::cpu::is_avx512_bf16_supported() || at::cpu::is_amx_tile_supported();
  if (bf16) {
    EXPECT_EQ(createModel(config(), 1, at::kCPU, BaseDtype::Bf16).dtype, BaseDtype::Bf16);
  } else {
    expectFailure(ErrorCode::Unsupported, "no instructions for it",
                  [] { createModel(config(), 1, at::kCPU, BaseDtype::Bf16); });
  }
  expectFailure(ErrorCode::NonFinite, "65504", [] {
    narrowed(at::full({2, 2}, 1e6), BaseDtype::Fp16, Narrowing::OutputsAreRows, "w");
  });
}

TEST(BaseDtype, EightBitModelsAreNotSaved) {
  const Folder folder;
  const Model narrow = inDtype(createModel(config(), 5, at::kCPU), BaseDtype::Int8);
  expectFailure(ErrorCode::Unsupported, "8-bit", [&] { saveModel(narrow, folder / "m", "fp32"); });
}

}  // namespace
}  // namespace seprog
