// FLOPs of single products and of small graphs, against figures worked out by hand.
#include "core/instrument/flops.h"

#include <ATen/ATen.h>
#include <ATen/ThreadLocalState.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/instrument/meter.h"
#include "core/layers/attention.h"
#include "core/train/losses.h"

namespace seprog {

static bool operator==(const FlopCounts& a, const FlopCounts& b) {
  return a.forward == b.forward && a.backward == b.backward && a.secondOrder == b.secondOrder;
}
static void PrintTo(const FlopCounts& flops, std::ostream* out) {
  *out << "forward " << flops.forward << ", backward " << flops.backward << ", second order "
       << flops.secondOrder;
}

namespace {

FlopCounts flopsOf(const std::function<void()>& action) {
  const FlopCounter counter;
  action();
  return counter.counts();
}

class EveryDevice : public testing::TestWithParam<c10::DeviceType> {
 protected:
  at::Tensor numbers(at::IntArrayRef shape) const {
    return at::ones(shape, at::TensorOptions(c10::Device(GetParam())));
  }
};
INSTANTIATE_TEST_SUITE_P(Flops, EveryDevice, testing::Values(c10::kCPU, c10::kMeta),
                         [](const auto& info) { return c10::DeviceTypeName(info.param, true); });

TEST_P(EveryDevice, EveryProductCountsTwicePerMultiplyAddAndOnce) {
  constexpr int64_t b = 7, m = 3, k = 5, n = 4;
  const at::Tensor a_mk = numbers({m, k}), b_kn = numbers({k, n}), c_mn = numbers({m, n}), d_n = numbers({n});
  const at::Tensor a_bmk = numbers({b, m, k}), b_bkn = numbers({b, k, n}), c_bmn = numbers({b, m, n});
  const at::Tensor u_k = numbers({k}), w_m = numbers({m}), weight_nk = numbers({n, k});
  const std::vector<std::pair<const char*, std::pair<int64_t, std::function<void()>>>> products = {
      {"mm", {m * k * n, [&] { at::mm(a_mk, b_kn); }}},
      {"mm_out", {m * k * n, [&] { at::mm_out(const_cast<at::Tensor&>(c_mn), a_mk, b_kn); }}},
      {"mm of a transpose", {m * k * n, [&] { at::mm(a_mk, weight_nk.t()); }}},
      {"addmm", {m * k * n, [&] { at::addmm(c_mn, a_mk, b_kn, 0.5, 2); }}},
      {"addmm_", {m * k * n, [&] { c_mn.addmm_(a_mk, b_kn); }}},
      {"bmm", {b * m * k * n, [&] { at::bmm(a_bmk, b_bkn); }}},
      {"baddbmm", {b * m * k * n, [&] { at::baddbmm(c_bmn, a_bmk, b_bkn); }}},
      {"baddbmm_", {b * m * k * n, [&] { c_bmn.baddbmm_(a_bmk, b_bkn); }}},
      {"mv", {m * k, [&] { at::mv(a_mk, u_k); }}},
      {"addmv", {m * k, [&] { at::addmv(w_m, a_mk, u_k); }}},
      {"addmv_", {m * k, [&] { w_m.addmv_(a_mk, u_k); }}},
      {"linear", {m * k * n, [&] { at::linear(a_mk, weight_nk); }}},
      {"linear with a bias", {m * k * n, [&] { at::linear(a_mk, weight_nk, d_n); }}},
      {"linear on three dimensions", {b * m * k * n, [&] { at::linear(a_bmk, weight_nk, d_n); }}},
      {"linear on a vector", {k * n, [&] { at::linear(u_k, weight_nk, d_n); }}},
      {"matmul folded", {b * m * k * n, [&] { at::matmul(a_bmk, b_kn); }}},
      {"matmul in batches", {b * m * k * n, [&] { at::matmul(a_bmk, b_bkn); }}},
      {"matmul spread", {b * m * k * n, [&] { at::matmul(a_mk, b_bkn); }}},
      {"einsum",
       {b * m * k * n,
        [&] {
          at::einsum("bmk,bkn->bmn", {a_bmk, b_bkn});
        }}},
      {"no row",
       {0,
        [&] {
          at::mm(numbers({0, k}), b_kn);
        }}},
      // One multiplication an element, nothing summed: no product of matrices.
      {"outer", {0, [&] { at::outer(w_m, u_k); }}},
      {"addr", {0, [&] { at::addr(a_mk, w_m, u_k); }}},
      {"elements", {0, [&] { at::softmax(at::mul(a_mk, a_mk), 1).sum(); }}},
  };
  for (const auto& [name, product] : products) {
    EXPECT_EQ(flopsOf(product.second), (FlopCounts{2 * product.first, 0, 0})) << name;
  }
}

TEST(Flops, ProductsOfVectorsCount) {  // libtorch has them on no device without data
  const at::Tensor a = at::ones({9}), b = at::ones({9});
  EXPECT_EQ(flopsOf([&] { at::dot(a, b); }), (FlopCounts{18, 0, 0}));
  EXPECT_EQ(flopsOf([&] { at::vdot(a, b); }), (FlopCounts{18, 0, 0}));
  EXPECT_EQ(flopsOf([&] { at::matmul(a, b); }), (FlopCounts{18, 0, 0}));
}

TEST(Flops, ProductsOfEightBitCodesCountAlike) {
  const at::Tensor a = at::ones({32, 64}, at::kChar), b = at::ones({64, 16}, at::kChar);
  EXPECT_EQ(flopsOf([&] { at::_int_mm(a, b); }), (FlopCounts{2 * 32 * 64 * 16, 0, 0}));
}

TEST(Flops, TheMatrixLibraryMakesNoDifference) {
  const at::Tensor a = at::ones({64, 128}), b = at::ones({128, 256}), c = at::ones({4, 128, 64});
  const bool exact = at::globalContext().float32MatmulPrecision() == at::Float32MatmulPrecision::HIGHEST;
  for (const char* precision : {"highest", "medium"}) {  // "medium" asks for oneDNN
    at::globalContext().setFloat32MatmulPrecision(precision);
    const FlopCounts flops = flopsOf([&] {
      at::mm(a, b);
      at::bmm(a.expand({4, 64, 128}), c);
    });
    EXPECT_EQ(flops.forward, 2 * 64 * 128 * 256 + 2 * 4 * 64 * 128 * 64) << precision;
  }
  at::globalContext().setFloat32MatmulPrecision(exact ? "highest" : "medium");
}

/// A linear layer under a sum of squares, differentiated twice for its weight.
void differentiateTwice() {
  const at::Tensor x_NI = at::ones({6, 5});
  const at::Tensor weight_OI = at::ones({3, 5}).set_requires_grad(true);
  const at::Tensor y_NO = at::linear(x_NI, weight_OI);
  const auto first =
      torch::autograd::grad({(y_NO * y_NO).sum()}, {weight_OI}, {}, std::nullopt, /*create_graph=*/true);
  torch::autograd::grad({(first[0] * first[0]).sum()}, {weight_OI});
}
// dW = δᵀx of the first pass has a node of its own, whose backward gives dδ = x dWᵀ; that reaches y and is the
// gradient of the forward node again.
constexpr int64_t kLinear = 2 * 6 * 5 * 3;
constexpr FlopCounts kTwice = {kLinear, kLinear + kLinear, kLinear};

TEST(Flops, ALinearLayerOnceAndTwiceDifferentiated) {
  const FlopCounts once = flopsOf([] {
    const at::Tensor x_NI = at::ones({6, 5}).set_requires_grad(true);
    const at::Tensor weight_OI = at::ones({3, 5}).set_requires_grad(true);
    torch::autograd::grad({at::linear(x_NI, weight_OI).sum()}, {x_NI, weight_OI});
  });
  EXPECT_EQ(once, (FlopCounts{kLinear, 2 * kLinear, 0}));
  EXPECT_EQ(flopsOf(differentiateTwice), kTwice);
}

TEST(Flops, AttentionOnceAndTwiceDifferentiated) {
  constexpr int64_t B = 4, H = 3, Q = 5, K = 6, C = 8;
  constexpr int64_t each = 2 * B * H * Q * K * C;  // any product of q, k, v, the scores or their gradients
  const auto fresh = [](int64_t rows) { return at::randn({B, H, rows, C}).set_requires_grad(true); };
  const auto all = [&](bool twice) {
    const at::Tensor q = fresh(Q), k = fresh(K), v = fresh(K);
    const at::Tensor out = attend(q, k, v, {});
    const auto first = torch::autograd::grad({(out * out).sum()}, {q, k, v}, {}, std::nullopt, twice);
    if (!twice) return;
    torch::autograd::grad({(first[0] * first[0]).sum() + (first[1] * first[1]).sum() + first[2].sum()},
                          {q, k, v});
  };
  // qkᵀ and pv; then dv, dp, dq, dk.
  EXPECT_EQ(flopsOf([&] { all(false); }), (FlopCounts{2 * each, 4 * each, 0}));
  // With a graph the scores are computed again and each of the five products gets a node with two gradients; through
  // the gradient of the output the first node runs once more.
  EXPECT_EQ(flopsOf([&] { all(true); }), (FlopCounts{2 * each, 5 * each + 4 * each, 10 * each}));
}

TEST(Flops, TheHeadByHandIsABackwardPass) {
  constexpr int64_t N = 16, D = 24, V = 300;
  const Head head{at::randn({V, D}), 1, {}};
  const at::Tensor h_ND = at::randn({N, D}), labels_N = at::zeros({N}, at::kLong), weight_N = at::ones({N});
  const auto gradients = [&](bool trainHead) {
    return flopsOf([&] { tokenNllGradients(h_ND, head, labels_N, weight_N, trainHead); });
  };
  constexpr int64_t each = 2 * N * D * V;
  EXPECT_EQ(gradients(false), (FlopCounts{each, each, 0}));
  EXPECT_EQ(gradients(true), (FlopCounts{each, 2 * each, 0}));
}

TEST(Flops, GraphsOfOneThreadAreToldFromThoseOfTheBackwardPassOnAnother) {
  const FlopCounter counter;
  const at::Tensor x_NI = at::ones({6, 5});
  const at::Tensor weight_OI = at::ones({3, 5}).set_requires_grad(true);
  const at::Tensor y_NO = at::linear(x_NI, weight_OI);
  // A device's backward pass runs on a thread of libtorch's with the state of the thread that asked for it.
  std::vector<at::Tensor> first;
  const auto onAnotherThread = [](const std::function<void()>& action) {
    std::thread([&action, state = at::ThreadLocalState()] {
      const at::ThreadLocalStateGuard guard(state);
      action();
    }).join();
  };
  onAnotherThread(
      [&] { first = torch::autograd::grad({(y_NO * y_NO).sum()}, {weight_OI}, {}, std::nullopt, true); });
  const at::Tensor norm = (first[0] * first[0]).sum();
  onAnotherThread([&] { torch::autograd::grad({norm}, {weight_OI}); });
  std::thread([] { differentiateTwice(); }).join();  // somebody else's work
  EXPECT_EQ(counter.counts(), kTwice);
}

TEST(Flops, AFailedPassLeavesNothingBehind) {
  EXPECT_ANY_THROW(flopsOf([] { at::mm(at::ones({2, 3}), at::ones({2, 3})); }));
  EXPECT_ANY_THROW(flopsOf([] {
    const BackwardPass pass("failing");
    at::mm(at::ones({2, 3}), at::ones({2, 3}));
  }));
  EXPECT_FALSE(at::hasThreadLocalCallbacks());
  EXPECT_EQ(flopsOf(differentiateTwice), kTwice);
}

TEST(Flops, PhasesAddUpToTheWholeAndOnlyDetailCounts) {
  const c10::Device cpu(c10::kCPU);
  const at::Tensor a = at::ones({4, 4});
  const auto measure = [&](MeasureLevel level) {
    Meter meter(cpu, level);
    JobContext context(nullptr, &meter);
    at::mm(a, a);
    for (int repeat = 0; repeat < 2; ++repeat) {
      const auto outer = context.phase("outer");
      at::mm(a, a);
      {
        const auto inner = context.phase("inner");
        differentiateTwice();
      }
      at::mm(a, a);
    }
    return meter.finish();
  };
  const Measurement detail = measure(MeasureLevel::Detail);
  constexpr int64_t kSquare = 2 * 4 * 4 * 4;
  EXPECT_EQ(detail.total.flops, (FlopCounts{kSquare, 0, 0}));
  EXPECT_EQ(detail.phases[0].flops, (FlopCounts{4 * kSquare, 0, 0}));
  EXPECT_EQ(detail.phases[1].flops, kTwice + kTwice);
  const Measurement clocks = measure(MeasureLevel::Clocks);
  EXPECT_FALSE(clocks.total.flops);
  EXPECT_FALSE(clocks.phases[1].flops);
}

}  // namespace
}  // namespace seprog
