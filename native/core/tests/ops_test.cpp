// The fused kernels on the CPU against the references, case by case.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <future>
#include <limits>

#include "core/ops/cross_attention/cross_attention.h"
#include "core/ops/cross_attention/fused.h"
#include "core/ops/kernel_sources.h"
#include "core/ops/masked_nll/masked_nll.h"
#include "core/plan/planned_device.h"
#include "failure.h"
#include "op_parts.h"

namespace seprog {
namespace {

struct AttentionCase {
  int64_t n, R, K, H;
  double scale;  // of the products: the larger, the nearer to one-hot
};

void PrintTo(const AttentionCase& shape, std::ostream* out) {
  *out << shape.n << " groups, " << shape.R << " queries, " << shape.K << " rows of " << shape.H << ", scale "
       << shape.scale;
}

// Blocks hold at least 256 rows: the long ones cross block borders.
const AttentionCase kAttentionCases[] = {
    {1, 1, 1, 8, 0.3},      {1, 1, 7, 5, 1},         {1, 5, 33, 16, 0.25}, {3, 4, 6, 16, 0.25},
    {4, 16, 8, 24, 2},      {2, 3, 1, 8, 1},         {1, 1, 300, 9, 0.3},  {1, 17, 2049, 8, 5},
    {1, 4096, 700, 4, 0.5}, {2, 2100, 1000, 4, 0.5},
};

class CrossAttentionCase : public testing::TestWithParam<AttentionCase> {
 protected:
  at::Tensor q() const { return normals({GetParam().n, GetParam().R, GetParam().H}, "q"); }
  at::Tensor rows() const { return normals({GetParam().n, GetParam().K, GetParam().H}, "rows"); }
  double scale() const { return GetParam().scale; }
};

TEST_P(CrossAttentionCase, HasTheValuesOfTheDefinition) {
  const CrossAttentionWants all = {.alpha = true, .argmax = true};
  const CrossAttention got = crossAttention(q(), rows(), scale(), all);
  const CrossAttention exact =
      crossAttentionReference(q().to(at::kDouble), rows().to(at::kDouble), scale(), all);
  // Products in float: their error grows with their size, e^s passes it on to every weight.
  EXPECT_LT(distance(got.h_nRH, exact.h_nRH), 2e-5);
  EXPECT_LT(distance(got.alpha_nRK, exact.alpha_nRK), 2e-5);
  EXPECT_TRUE(got.argmax_nR.equal(exact.argmax_nR));
  const CrossAttention plain = crossAttention(q(), rows(), scale());
  EXPECT_TRUE(plain.h_nRH.equal(got.h_nRH));
  EXPECT_FALSE(plain.alpha_nRK.defined());
  EXPECT_FALSE(plain.argmax_nR.defined());
}

TEST_P(CrossAttentionCase, HasTheGradientsOfTheDefinition) {
  const auto gradients = [&](at::ScalarType dtype, Kernels policy) {
    const With with(policy);
    at::Tensor q_nRH = q().to(dtype).requires_grad_(), rows_nKH = rows().to(dtype).requires_grad_();
    const at::Tensor h = crossAttention(q_nRH, rows_nKH, scale(), {.argmax = true}).h_nRH;
    return torch::autograd::grad({h}, {q_nRH, rows_nKH}, {normals(h.sizes(), "dh").to(dtype)});
  };
  const auto exact = gradients(at::kDouble, Kernels::Reference);
  const auto expectExact = [&](const std::vector<at::Tensor>& got) {
    for (size_t i = 0; i < exact.size(); ++i) {
      EXPECT_LT(distance(got[i], exact[i]), 2e-5 * (1 + exact[i].abs().max().item<double>()));
    }
  };
  expectExact(gradients(at::kFloat, Kernels::Fused));
  // Within one block the op takes the reference; the fused backward is right there too.
  const auto forward = cross_attention::forward(Path::Cpu, q(), rows(), scale(), {});
  const auto fused = cross_attention::backward(q(), rows(), scale(), forward, normals(q().sizes(), "dh"));
  expectExact({fused.q_nRH, fused.rows_nKH});
}

INSTANTIATE_TEST_SUITE_P(Shapes, CrossAttentionCase, testing::ValuesIn(kAttentionCases));

// Products of 24 terms, up to 8 after scaling, are rounded to the dtype before the softmax: e^s passes on eight times
// that rounding, and the fused kernels of a GPU round their weights once more.
class CrossAttentionDtype : public testing::TestWithParam<Precision> {};

TEST_P(CrossAttentionDtype, HasTheValuesAndGradientsOfTheDefinition) {
  const auto [device, dtype, tolerance] = GetParam();
  for (const auto& [n, R, K] : {std::tuple{3, 5, 40}, {1, 2100, 700}}) {  // one block of rows, and three
    at::Tensor q = normals({n, R, 24}, "q").to(device, dtype).requires_grad_();
    at::Tensor rows = normals({n, K, 24}, "rows").to(device, dtype).requires_grad_();
    const at::Tensor dh = normals({n, R, 24}, "dh").to(device, dtype);
    const CrossAttention got = crossAttention(q, rows, 0.3, {.alpha = true, .argmax = true});
    const auto gradients = torch::autograd::grad({got.h_nRH}, {q, rows}, {dh});
    at::Tensor exactQ = q.detach().to(at::kCPU, at::kDouble).requires_grad_();
    at::Tensor exactRows = rows.detach().to(at::kCPU, at::kDouble).requires_grad_();
    const CrossAttention exact = crossAttentionReference(exactQ, exactRows, 0.3, {.alpha = true});
    const auto slopes =
        torch::autograd::grad({exact.h_nRH}, {exactQ, exactRows}, {dh.to(at::kCPU, at::kDouble)});
    EXPECT_EQ(got.h_nRH.scalar_type(), dtype);
    EXPECT_LT(distance(got.h_nRH, exact.h_nRH), tolerance);
    EXPECT_LT(distance(got.alpha_nRK, exact.alpha_nRK), tolerance);
    for (size_t i = 0; i < slopes.size(); ++i) {
      EXPECT_LT(distance(gradients[i], slopes[i]), tolerance * (1 + slopes[i].abs().max().item<double>()));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, CrossAttentionDtype,
                         testing::ValuesIn(onEveryDevice({
                             {at::kDouble, 1e-12},
                             {at::kFloat, 1e-5},
                             {at::kHalf, 1e-2},      // 8 · 2^−11, twice
                             {at::kBFloat16, 8e-2},  // 8 · 2^−8, twice
                         })));

TEST(CrossAttention, SecondDerivativesAreThoseOfTheDefinition) {
  const auto second = [](at::ScalarType dtype, Kernels policy, bool rowsToo) {
    const With with(policy);
    at::Tensor q = normals({2, 2100, 4}, "q").to(dtype).requires_grad_();
    at::Tensor leaf = normals({2, 300, 4}, "rows").to(dtype).requires_grad_(rowsToo);
    const at::Tensor rows = leaf * 2;  // not a leaf: the second derivative goes on behind it
    const at::Tensor h = crossAttention(q, rows, 0.5).h_nRH;
    const at::Tensor first = torch::autograd::grad({h.pow(2).sum()}, {q}, {}, true, true)[0];
    std::vector<at::Tensor> leaves{q};
    if (rowsToo) leaves.push_back(leaf);
    return torch::autograd::grad({first.pow(2).sum()}, leaves);
  };
  for (const bool rowsToo : {false, true}) {
    const auto got = second(at::kFloat, Kernels::Fused, rowsToo);
    const auto exact = second(at::kDouble, Kernels::Reference, rowsToo);
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_LT(distance(got[i], exact[i]), 1e-5 * (1 + exact[i].abs().max().item<double>()));
    }
  }
}

TEST(CrossAttention, OfEqualRowsTheFirstIsNamed) {
  const at::Tensor rows = at::ones({1, 600, 4});
  EXPECT_EQ(crossAttention(at::ones({1, 1, 4}), rows, 1, {.argmax = true}).argmax_nR.item<int64_t>(), 0);
}

TEST(CrossAttention, TakesQueriesAndRowsThatDoNotLieInOrder) {
  const at::Tensor q = normals({1, 8, 6}, "q").transpose(1, 2),
                   rows = normals({1, 8, 9}, "rows").transpose(1, 2);
  EXPECT_LT(distance(crossAttention(q, rows, 0.3).h_nRH, crossAttentionReference(q, rows, 0.3).h_nRH), 1e-5);
  const at::Tensor shifted = normals({1 + 5 * 7}, "shifted").narrow(0, 1, 35).view({1, 5, 7});  // 4 bytes off
  EXPECT_LT(
      distance(crossAttention(shifted, shifted, 1).h_nRH, crossAttentionReference(shifted, shifted, 1).h_nRH),
      1e-5);
}

TEST(CrossAttention, WithoutQueriesThereIsNothingToAnswer) {
  EXPECT_EQ(crossAttention(at::empty({1, 0, 4}), at::ones({1, 3, 4}), 1).h_nRH.sizes(),
            at::IntArrayRef({1, 0, 4}));
}

TEST(CrossAttention, ANaNComesThrough) {
  at::Tensor rows = normals({1, 300, 4}, "rows");
  rows[0][299][0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(crossAttention(normals({1, 2, 4}, "q"), rows, 1).h_nRH.isnan().all().item<bool>());
}

TEST(CrossAttention, RefusesWhatDoesNotFit) {
  expectFailure(ErrorCode::ShapeMismatch, "`crossAttention`", [] {
    crossAttention(at::ones({1, 2, 4}), at::ones({1, 2, 5}), 1);
  });
  expectFailure(ErrorCode::ShapeMismatch, "K > 0", [] {
    crossAttention(at::ones({1, 2, 4}), at::empty({1, 0, 4}), 1);
  });
}

/// On a thread that plans for such a device.
void planning(PlannedKind kind, const std::function<void(const at::TensorOptions&)>& call) {
  std::async(std::launch::async, [&] {
    planOnThisThread(plannedDevice(kind));
    call(at::TensorOptions(plannedDevice(kind)));
  }).get();
}

Path pathFor(const at::TensorOptions& options, at::ScalarType dtype) {
  return pathOf(at::empty({1}, options.dtype(dtype)), kMaskedNllKernels);
}

TEST(Kernels, OneRuleSaysWhatRuns) {
  EXPECT_EQ(pathFor(at::kCPU, at::kFloat), Path::Cpu);
  for (const at::ScalarType dtype : {at::kDouble, at::kHalf, at::kBFloat16}) {
    EXPECT_EQ(pathFor(at::kCPU, dtype), Path::Reference);
  }
  planning(PlannedKind::Cpu, [](const at::TensorOptions& options) {
    EXPECT_EQ(pathFor(options, at::kFloat), Path::Planned);
    EXPECT_EQ(pathFor(options, at::kHalf), Path::Reference);
  });
  planning(PlannedKind::Cuda, [](const at::TensorOptions& options) {
    for (const at::ScalarType dtype : {at::kFloat, at::kHalf, at::kBFloat16}) {
      EXPECT_EQ(pathFor(options, dtype), Path::Planned);
    }
    EXPECT_EQ(pathFor(options, at::kDouble), Path::Reference);
    const With reference(Kernels::Reference);
    EXPECT_EQ(pathFor(options, at::kHalf), Path::Reference);
  });
  const With reference(Kernels::Reference);
  EXPECT_EQ(pathFor(at::kCPU, at::kFloat), Path::Reference);
}

TEST(CrossAttention, OnAPlannedDeviceItTakesTheBuffersAndNothingElse) {
  for (const PlannedKind kind : {PlannedKind::Cpu, PlannedKind::Cuda}) {
    planning(kind, [](const at::TensorOptions& options) {
      const at::Tensor q = at::empty({1, 8, 16}, options).requires_grad_();
      const CrossAttention planned =
          crossAttention(q, at::empty({1, 400000, 16}, options), 1, {.argmax = true});
      EXPECT_EQ(planned.h_nRH.sizes(), at::IntArrayRef({1, 8, 16}));
      EXPECT_EQ(planned.argmax_nR.sizes(), at::IntArrayRef({1, 8}));
      EXPECT_EQ(torch::autograd::grad({planned.h_nRH.sum()}, {q})[0].sizes(), q.sizes());
    });
  }
}

struct NllCase {
  int64_t N, V;
  double scale;
};

void PrintTo(const NllCase& shape, std::ostream* out) {
  *out << shape.N << " rows of " << shape.V << ", scale " << shape.scale;
}

class MaskedNllCase : public testing::TestWithParam<NllCase> {
 protected:
  struct Result {
    RowScores scores;
    at::Tensor logits_NV;
  };
  Result run(at::ScalarType dtype, bool weighted, bool fused) const {
    const auto [N, V, scale] = GetParam();
    Result result = {{at::empty({N}, dtype), at::empty({N}, at::kLong)},
                     normals({N, V}, "logits", scale).to(dtype)};
    const at::Tensor labels = at::arange(N).mul(7).remainder(V);
    const at::Tensor weight = weighted ? normals({N}, "weight").to(dtype) : at::Tensor();
    (fused ? maskedNll : maskedNllReference)(result.logits_NV, labels, weight, result.scores);
    return result;
  }
};

TEST_P(MaskedNllCase, HasTheValuesAndTheGradientOfTheDefinition) {
  for (const bool weighted : {false, true}) {
    const Result got = run(at::kFloat, weighted, true);
    const Result exact = run(at::kDouble, weighted, false);
    if (GetParam().N == 0) continue;
    EXPECT_LT(distance(got.scores.logProb_N, exact.scores.logProb_N), 2e-6 * (1 + GetParam().scale));
    EXPECT_TRUE(got.scores.argmax_N.equal(exact.scores.argmax_N));
    if (weighted) {
      EXPECT_LT(distance(got.logits_NV, exact.logits_NV), 2e-6);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, MaskedNllCase,
                         testing::Values(NllCase{0, 5, 1}, NllCase{1, 1, 1}, NllCase{3, 2, 1},
                                         NllCase{7, 31, 4}, NllCase{4, 1000, 30}, NllCase{2, 50265, 3}));

// On a GPU the kernels sum in float whatever the dtype; the reference rounds ln p, here up to 16, to the dtype.
class MaskedNllDtype : public testing::TestWithParam<Precision> {};

TEST_P(MaskedNllDtype, HasTheValuesAndTheGradientOfTheDefinition) {
  const auto [device, dtype, tolerance] = GetParam();
  const int64_t N = 5, V = 1003;
  const at::Tensor logits = normals({N, V}, "logits", 3).to(device, dtype);
  const at::Tensor labels = at::arange(N).mul(7).to(device);
  const at::ScalarType summing = dtype == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor weight = normals({N}, "weight").to(device, summing);
  const RowScores got = {at::empty({N}, weight.options()), at::empty({N}, labels.options())};
  const at::Tensor gradient = logits.clone();
  maskedNll(gradient, labels, weight, got);
  const RowScores exact = {at::empty({N}, at::kDouble), at::empty({N}, at::kLong)};
  const at::Tensor slope = logits.to(at::kCPU, at::kDouble);
  maskedNllReference(slope, labels.cpu(), weight.to(at::kCPU, at::kDouble), exact);
  EXPECT_LT(distance(got.logProb_N, exact.logProb_N), tolerance * 16);
  EXPECT_LT(distance(gradient, slope), tolerance * 3);
  EXPECT_TRUE(got.argmax_N.cpu().equal(exact.argmax_N));
}

INSTANTIATE_TEST_SUITE_P(Dtypes, MaskedNllDtype,
                         testing::ValuesIn(onEveryDevice({
                             {at::kDouble, 1e-14},
                             {at::kFloat, 0x1p-20},    // 8 ulp: a sum of a thousand terms
                             {at::kHalf, 0x1p-10},     // 11 bits, rounded twice
                             {at::kBFloat16, 0x1p-7},  // 8 bits, rounded twice
                         })));

TEST(MaskedNll, TakesRowsThatBeginAnywhere) {
  const at::Tensor shifted =
      normals({1 + 3 * 17}, "logits").narrow(0, 1, 3 * 17).view({3, 17});  // 4 bytes off
  const at::Tensor straight = shifted.clone();
  const at::Tensor labels = at::tensor({0, 16, 5}, at::kLong), weight = at::ones({3});
  const RowScores got = {at::empty({3}), at::empty({3}, at::kLong)};
  const RowScores expected = {at::empty({3}), at::empty({3}, at::kLong)};
  maskedNll(shifted, labels, weight, got);
  maskedNllReference(straight, labels, weight, expected);
  EXPECT_LT(distance(got.logProb_N, expected.logProb_N), 1e-6);
  EXPECT_LT(distance(shifted, straight), 1e-6);
}

TEST(MaskedNll, RefusesALabelOutsideTheVocabulary) {
  const RowScores out = {at::empty({2}), at::empty({2}, at::kLong)};
  expectFailure(ErrorCode::DataInvalid, "`labels[1]`", [&] {
    maskedNll(at::zeros({2, 3}), at::tensor({0, 3}, at::kLong), {}, out);
  });
}

TEST(MaskedNll, ARowOfNaNsHasNoFiniteScore) {
  const RowScores out = {at::empty({1}), at::empty({1}, at::kLong)};
  maskedNll(at::full({1, 5}, std::numeric_limits<double>::quiet_NaN(), at::kFloat), at::zeros({1}, at::kLong),
            {}, out);
  EXPECT_TRUE(std::isnan(out.logProb_N.item<float>()));
  EXPECT_EQ(out.argmax_N.item<int64_t>(), 0);
}

}  // namespace
}  // namespace seprog
