// The divergence of two models' rows of logits: the fused kernels against the formula in double.
#include "core/ops/masked_kl/masked_kl.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <limits>

#include "core/layers/linear.h"
#include "core/train/token_kl.h"
#include "failure.h"
#include "op_parts.h"

namespace seprog {
namespace {

struct KlCase {
  int64_t N, V;
  double scale;  // of the logits
};

void PrintTo(const KlCase& shape, std::ostream* out) {
  *out << shape.N << " rows of " << shape.V << ", scale " << shape.scale;
}

const KlCase kShapes[] = {{0, 5, 1},  {1, 1, 1},     {3, 2, 1},    {7, 31, 4},
                          {1, 33, 1}, {4, 1000, 30}, {2, 50265, 3}};

// Beside rounding, ln p carries the dtype's error of logits up to four scales; fused kernels sum in float.
const std::vector<Precision> kPrecisions = onEveryDevice({
    {at::kDouble, 1e-12},
    {at::kFloat, 2e-6},      // about 10 ulp
    {at::kHalf, 2e-3},       // 11 bits
    {at::kBFloat16, 1.6e-2}  // 8 bits
});

at::Tensor exactKl(const at::Tensor& p_NV, const at::Tensor& q_NV) {
  const at::Tensor logP = at::log_softmax(p_NV.to(at::kCPU, at::kDouble), 1);
  const at::Tensor logQ = at::log_softmax(q_NV.to(at::kCPU, at::kDouble), 1);
  return (logP.exp() * (logP - logQ)).sum(1);
}

class MaskedKlCase : public testing::TestWithParam<std::tuple<KlCase, Precision>> {
 protected:
  KlCase shape() const { return std::get<0>(GetParam()); }
  Precision precision() const { return std::get<1>(GetParam()); }
  at::Tensor logits(const char* name) const {
    return normals({shape().N, shape().V}, name, shape().scale).to(precision().device, precision().dtype);
  }
  at::Tensor weights() const { return normals({shape().N}, "weight").to(precision().device, summing()); }
  at::ScalarType summing() const { return precision().dtype == at::kDouble ? at::kDouble : at::kFloat; }
  double tolerance() const { return precision().tolerance * (1 + 4 * shape().scale); }
  /// A divergence is rounded as well, in units of its own size.
  double valueTolerance(const at::Tensor& p_NV, const at::Tensor& q_NV) const {
    const double largest = shape().N == 0 ? 0 : exactKl(p_NV, q_NV).max().item<double>();
    return tolerance() + precision().tolerance * largest;
  }
};

at::Tensor exactSlope(const at::Tensor& p_NV, const at::Tensor& q_NV, const at::Tensor& weight_N) {
  const auto exact = [](const at::Tensor& x) { return x.to(at::kCPU, at::kDouble); };
  return (at::softmax(exact(q_NV), 1) - at::softmax(exact(p_NV), 1)) * exact(weight_N).unsqueeze(1);
}

TEST_P(MaskedKlCase, HasTheValuesAndTheGradientOfTheFormula) {
  const at::Tensor p = logits("p"), q = logits("q"), weight = weights();
  at::Tensor plain = at::empty({shape().N}, weight.options()), weighted = at::empty_like(plain);
  at::Tensor untouched = q.clone(), gradient = q.clone();
  maskedKl(p, untouched, {}, plain);
  maskedKl(p, gradient, weight, weighted);
  EXPECT_LT(distance(plain, exactKl(p, q)), valueTolerance(p, q));
  EXPECT_LT(distance(weighted, exactKl(p, q)), valueTolerance(p, q));
  EXPECT_LT(distance(gradient, exactSlope(p, q, weight)), tolerance());
  EXPECT_TRUE(untouched.equal(q));
  EXPECT_TRUE(p.equal(logits("p")));
}

TEST_P(MaskedKlCase, IsTheSameWithinAGraph) {
  const at::Tensor p = logits("p"), q = logits("q").requires_grad_();
  const at::Tensor kl_N = maskedKl(p, q);
  const at::Tensor weight = weights().to(precision().dtype);
  const at::Tensor gradient = torch::autograd::grad({kl_N}, {q}, {weight})[0];
  EXPECT_EQ(kl_N.scalar_type(), precision().dtype);
  EXPECT_LT(distance(kl_N, exactKl(p, q)), valueTolerance(p, q));
  EXPECT_LT(distance(gradient, exactSlope(p, q, weight)), tolerance());
}

INSTANTIATE_TEST_SUITE_P(Shapes, MaskedKlCase,
                         testing::Combine(testing::ValuesIn(kShapes), testing::ValuesIn(kPrecisions)));

TEST(MaskedKl, SecondDerivativesAreThoseOfTheFormula) {
  const auto second = [](at::ScalarType dtype) {
    at::Tensor leaf = normals({3, 40}, "q", 2).to(dtype).requires_grad_();
    const at::Tensor q = leaf * 2;  // not a leaf: the second derivative goes on behind it
    const at::Tensor kl_N = maskedKl(normals({3, 40}, "p", 2).to(dtype), q);
    const at::Tensor first = torch::autograd::grad({kl_N.pow(2).sum()}, {leaf}, {}, true, true)[0];
    return torch::autograd::grad({first.pow(2).sum()}, {leaf})[0];
  };
  const at::Tensor exact = second(at::kDouble);
  EXPECT_LT(distance(second(at::kFloat), exact), 1e-5 * (1 + exact.abs().max().item<double>()));
}

TEST(MaskedKl, NoGradientPassesToTheConstant) {
  at::Tensor p = normals({2, 9}, "p").requires_grad_();
  EXPECT_FALSE(maskedKl(p, normals({2, 9}, "q")).requires_grad());
  const With reference(Kernels::Reference);
  EXPECT_FALSE(maskedKl(p, normals({2, 9}, "q")).requires_grad());
}

// Where two models agree the divergence is of second order; sums of first order would bury it.
TEST(MaskedKl, ASmallDivergenceKeepsItsDigits) {
  const at::Tensor p = normals({4, 5000}, "p", 3), q = p + normals({4, 5000}, "apart", 1e-3);
  at::Tensor kl_N = at::empty({4});
  maskedKl(p, q, {}, kl_N);
  const at::Tensor exact = exactKl(p, q);
  EXPECT_LT(exact.max().item<double>(), 2e-6);
  EXPECT_LT(kl_N.sub(exact).div(exact).abs().max().item<double>(), 2e-3);
  maskedKl(p, p, {}, kl_N);
  EXPECT_EQ(kl_N.abs().max().item<float>(), 0.0f);
}

TEST(MaskedKl, TakesRowsThatDoNotLieInOrder) {
  const at::Tensor p = normals({1 + 3 * 17}, "p").narrow(0, 1, 3 * 17).view({3, 17});  // 4 bytes off
  const at::Tensor q = normals({17, 3}, "q").t();
  at::Tensor kl_N = at::empty({3}), gradient = q.clone(at::MemoryFormat::Preserve);
  const at::Tensor weight = at::ones({3});
  maskedKl(p, gradient, weight, kl_N);
  EXPECT_LT(distance(kl_N, exactKl(p, q)), 1e-5);
  EXPECT_LT(distance(gradient, exactSlope(p, q, weight)), 1e-5);
  EXPECT_LT(distance(maskedKl(p, q), exactKl(p, q)), 1e-5);
}

TEST(MaskedKl, ANaNMakesItsOwnRowNaN) {
  at::Tensor q = normals({2, 70}, "q"), kl_N = at::empty({2});
  q[1][69] = std::numeric_limits<float>::quiet_NaN();
  maskedKl(normals({2, 70}, "p"), q, {}, kl_N);
  EXPECT_TRUE(std::isfinite(kl_N[0].item<float>()));
  EXPECT_TRUE(std::isnan(kl_N[1].item<float>()));
}

TEST(MaskedKl, RefusesModelsOfDifferentVocabularies) {
  expectFailure(ErrorCode::ShapeMismatch, "`maskedKl`", [] { maskedKl(at::ones({2, 4}), at::ones({2, 5})); });
  expectFailure(ErrorCode::ShapeMismatch, "`maskedKl`", [] {
    maskedKl(at::ones({2, 0}), at::ones({2, 0}), {}, at::empty({2}));
  });
}

// The blocks of tokenKl() behind the op: several of them, with a trained head.
TEST(TokenKl, HasTheGradientsOfTheWholeComposition) {
  const int64_t N = 150, D = 6, V = 60000;
  const at::Tensor p_ND = normals({N, D}, "p"), weight_N = normals({N}, "weight");
  const Head pHead = {normals({V, D}, "pHead"), 1, {}};
  at::Tensor q_ND = normals({N, D}, "q").requires_grad_();
  at::Tensor W_VD = normals({V, D}, "head").requires_grad_(), b_V = normals({V}, "bias").requires_grad_();
  const Head qHead = {W_VD, 0.5, b_V};
  const TokenKlGradients got = tokenKlGradients(p_ND, pHead, q_ND, qHead, weight_N, true);
  const at::Tensor kl_N = exactKl(applyHead(pHead, p_ND), applyHead(qHead, q_ND));
  const auto exact = torch::autograd::grad({kl_N.mul(weight_N).sum()}, {q_ND, W_VD, b_V});
  EXPECT_LT(distance(got.kl_N, kl_N), 1e-4);
  EXPECT_LT(distance(tokenKl(p_ND, pHead, q_ND, qHead), kl_N), 1e-4);
  EXPECT_LT(distance(got.gradients.h_ND, exact[0]), 1e-4);
  EXPECT_LT(distance(got.gradients.weight_VD, exact[1]), 1e-4);
  EXPECT_LT(distance(got.gradients.bias_V, exact[2]), 1e-4);
}

}  // namespace
}  // namespace seprog
