// Frozen weights in oneDNN's own order: the same answers and gradients, in every batch, and only where nothing was put in
// a weight's place.
#include "core/layers/packed_weight.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <vector>

#include "core/instrument/counting_allocator.h"
#include "core/instrument/flops.h"
#include "core/layers/linear.h"
#include "core/models/model.h"
#include "core/tensor/matmul_backend.h"
#include "core/tensor/random.h"
#include "family_parts.h"

namespace seprog {
namespace {

using namespace tiny;

/// Of a target token in the loss.
constexpr double kWeight = 0.1;

/// Packs as long as it lives, or does not.
class Packing {
 public:
  explicit Packing(bool on) : before_(packsFrozenWeights()) { packFrozenWeights(on); }
  ~Packing() { packFrozenWeights(before_); }
  Packing(const Packing&) = delete;
  Packing& operator=(const Packing&) = delete;

 private:
  bool before_;
};

class PackedFamily : public testing::TestWithParam<Family> {
 protected:
  const Model model = createModel(GetParam().config(), 5, at::kCPU);
  const Asked asked = ask(*model.architecture, 23);
};
INSTANTIATE_TEST_SUITE_P(Families, PackedFamily, testing::ValuesIn(kFamilies),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(PackedFamily, AnswersAndGradientsAreThoseOfPlainWeights) {
  at::Tensor plainLogits, plainGradient;
  {
    const Packing off(false);
    plainLogits = logits(model, asked);
    plainGradient = promptGradient(model, asked, kWeight);
  }
  const Packing on(true);
  EXPECT_LE(relativeError(logits(model, asked), plainLogits), 1e-5);
  EXPECT_LE(relativeError(promptGradient(model, asked, kWeight), plainGradient), 1e-4);
}

TEST_P(PackedFamily, ARowOfASelectionHasTheBitsItHasInTheWhole) {
  const at::NoGradGuard frozen;
  const Packing on(true);
  const int before = at::get_num_threads();
  const Architecture& family = *model.architecture;
  for (const int threads : {1, 2}) {
    at::set_num_threads(threads);
    const Encoded encoded = family.encode(model.weights, asked.source);
    const at::Tensor whole = family.targetLogits(model.weights, encoded, asked.targets, {});
    for (const std::vector<int64_t>& rows : std::vector<std::vector<int64_t>>{
             {0}, {7, 3}, {0, 4, 9, 13, 21}, {2, 3, 4, 5, 6, 7, 8, 9, 10, 11}}) {
      const at::Tensor rows_R = at::tensor(rows, at::kLong);
      std::vector<at::Tensor> expected;
      for (const int64_t row : rows) expected.push_back(whole.index({asked.targets.rowOf_N == row}));
      EXPECT_TRUE(at::equal(
          family.targetLogits(model.weights, encoded.select(rows_R), asked.targets.select(rows_R), {}),
          at::cat(expected)))
          << rows.size() << " rows, " << threads << " threads";
    }
  }
  at::set_num_threads(before);
}

TEST_P(PackedFamily, WhatIsPutInAWeightsPlaceIsRead) {
  const Packing on(true);
  const at::Tensor original = logits(model, asked);
  TensorTable doubled;
  for (const std::string& name : model.architecture->editableWeights()) {
    doubled.emplace(name, model.weights.at(name) * 2);
  }
  const Model edited{model.architecture, model.weights.with(std::move(doubled)), at::kCPU};
  const at::Tensor packed = logits(edited, asked);
  EXPECT_GT((packed - original).abs().max().item<double>(), 1e-4);
  const Packing off(false);
  EXPECT_TRUE(at::allclose(packed, logits(edited, asked), 1e-4, 1e-5));
}

TEST_P(PackedFamily, CountsAsManyOperations) {
  const auto counted = [&](bool on) {
    const Packing packing(on);
    promptGradient(model, asked, kWeight);  // what is packed is packed now
    FlopCounter counter;
    logits(model, asked);
    promptGradient(model, asked, kWeight);
    return counter.counts();
  };
  const FlopCounts plain = counted(false);
  const FlopCounts packed = counted(true);
  EXPECT_EQ(packed.forward, plain.forward);
  EXPECT_EQ(packed.backward, plain.backward);
  EXPECT_GT(plain.backward, 0);
}

TEST(PackedWeight, IsCountedAndGoesWithItsMatrix) {
  installCountingAllocator();
  const at::NoGradGuard frozen;
  const Packing on(true);
  const int64_t before = takeCpuMemoryCounts().allocatedBytes;
  {
    const at::Tensor W = Random(1).normalTensor({512, 256}, 0, 1);
    const at::Tensor x = Random(2).normalTensor({16, 256}, 0, 1);
    EXPECT_FALSE(packedOf(W).defined()) << "not allowed yet";
    allowPacking(W);
    const int64_t plain = takeCpuMemoryCounts().allocatedBytes;
    projectRows(x, W);
    projectRows(x, W);
    const int64_t packed = takeCpuMemoryCounts().allocatedBytes - plain;
    EXPECT_GE(packed, 512 * 256 * 4);
    EXPECT_LT(packed, 2 * 512 * 256 * 4) << "packed once, one way";
    EXPECT_FALSE(packedOf(W.clone()).defined());
    EXPECT_FALSE(packedOf(W.t(), true).defined());
    const Packing off(false);
    EXPECT_FALSE(packedOf(W).defined());
  }
  EXPECT_EQ(takeCpuMemoryCounts().allocatedBytes, before);
}

TEST(PackedWeight, HasSecondDerivatives) {
  const at::Tensor W = Random(1).normalTensor({24, 16}, 0, 0.3);
  const auto second = [&](const at::Tensor& weight) {
    const at::Tensor x = Random(2).normalTensor({5, 16}, 0, 1).set_requires_grad(true);
    const at::Tensor g = torch::autograd::grad({projectRows(x, weight).pow(3).sum()}, {x}, {}, true, true)[0];
    return torch::autograd::grad({g.square().sum()}, {x})[0];
  };
  const at::Tensor wanted = second(W);
  const Packing on(true);
  const at::Tensor frozen = W.clone();
  allowPacking(frozen);
  EXPECT_TRUE(at::allclose(second(frozen), wanted, 1e-4, 1e-5));
}

}  // namespace
}  // namespace seprog
