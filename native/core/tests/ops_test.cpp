// The fused kernels on the CPU against the references, case by case.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <limits>
#include <ostream>

#include "core/ops/cross_attention/cross_attention.h"
#include "core/ops/cross_attention/fused.h"
#include "core/ops/kernels.h"
#include "core/ops/masked_nll/masked_nll.h"
#include "core/tensor/random.h"
#include "failure.h"

namespace seprog {
namespace {

/// One policy for a scope.
class With {
 public:
  explicit With(Kernels wanted) : before_(kernels()) { useKernels(wanted); }
  ~With() { useKernels(before_); }
  With(const With&) = delete;
  With& operator=(const With&) = delete;

 private:
  Kernels before_;
};

at::Tensor normals(at::IntArrayRef shape, const char* name, double scale = 1) {
  return Random(7, name).normalTensor(shape, 0, scale);
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return a.to(at::kDouble).sub(b.to(at::kDouble)).abs().max().item<double>();
}

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
  const auto forward = cross_attention::forward(q(), rows(), scale(), {});
  const auto fused = cross_attention::backward(q(), rows(), scale(), forward, normals(q().sizes(), "dh"));
  expectExact({fused.q_nRH, fused.rows_nKH});
}

INSTANTIATE_TEST_SUITE_P(Shapes, CrossAttentionCase, testing::ValuesIn(kAttentionCases));

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

TEST(CrossAttention, OnTheMetaDeviceItTakesTheBuffersAndNothingElse) {
  const auto meta = at::TensorOptions(at::kMeta).dtype(at::kFloat);
  const CrossAttention planned =
      crossAttention(at::empty({1, 8, 16}, meta), at::empty({1, 5000, 16}, meta), 1, {.argmax = true});
  EXPECT_EQ(planned.h_nRH.sizes(), at::IntArrayRef({1, 8, 16}));
  EXPECT_EQ(planned.argmax_nR.sizes(), at::IntArrayRef({1, 8}));
}

TEST(Int8, CodesAreWithinHalfAStep) {
  const at::Tensor rows = normals({50, 37}, "rows");
  const Int8Rows codes = quantiseRows(rows);
  const at::Tensor error = codes.codes_KH.to(at::kFloat).mul(codes.scale_K.unsqueeze(1)).sub(rows).abs();
  EXPECT_LE(error.div(codes.scale_K.unsqueeze(1)).max().item<float>(), 0.5001f);
  EXPECT_EQ(codes.codes_KH.abs().amax().item<int>(), 127);
  EXPECT_EQ(quantiseRows(at::zeros({1, 4})).codes_KH.abs().sum().item<int64_t>(), 0);
}

TEST(Int8, TheBestRowIsTheExactOne) {
  const at::Tensor rows = normals({6000, 64}, "rows"), q = normals({200, 64}, "q");
  const CrossAttention got = crossAttentionInt8(q, rows, quantiseRows(rows), 0.125);
  const CrossAttention exact = crossAttention(q.unsqueeze(0), rows.unsqueeze(0), 0.125, {.argmax = true});
  EXPECT_TRUE(got.argmax_nR.equal(exact.argmax_nR));
  // Weights of rows that are not weighed again carry the codes' error, here about 1 %.
  EXPECT_LT(distance(got.h_nRH, exact.h_nRH), 0.02 * exact.h_nRH.abs().max().item<double>());
}

TEST(Int8, WhereFewRowsMatterTheAnswerIsExact) {
  const at::Tensor rows = normals({3000, 64}, "rows"), q = rows.narrow(0, 500, 40) * 3;
  const CrossAttention got = crossAttentionInt8(q, rows, quantiseRows(rows), 0.125);
  const CrossAttention exact = crossAttention(q.unsqueeze(0), rows.unsqueeze(0), 0.125, {.argmax = true});
  EXPECT_TRUE(got.argmax_nR.equal(exact.argmax_nR));
  EXPECT_LT(distance(got.h_nRH, exact.h_nRH), 1e-4);
}

TEST(Int8, FewerRowsThanAreWeighedAgain) {
  const at::Tensor rows = normals({3, 16}, "rows"), q = normals({2, 16}, "q");
  const CrossAttention got = crossAttentionInt8(q, rows, quantiseRows(rows), 0.25);
  EXPECT_LT(distance(got.h_nRH, crossAttention(q.unsqueeze(0), rows.unsqueeze(0), 0.25).h_nRH), 1e-5);
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
