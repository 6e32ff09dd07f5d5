// Every fused op on the device against its definition in double on the CPU: values, gradients, second derivatives.
#include <torch/csrc/autograd/autograd.h>

#include <vector>

#include "core/cuda/module.h"
#include "core/ops/cross_attention/cross_attention.h"
#include "core/ops/kernel_sources.h"
#include "core/ops/kernels.h"
#include "core/ops/masked_kl/masked_kl.h"
#include "core/ops/masked_nll/masked_nll.h"
#include "core/ops/prefix_attention/prefix_attention.h"
#include "core/tensor/random.h"
#include "device_under_test.h"

namespace seprog::gpu {
namespace {

// Sums of floats in another order; sums of what was rounded to 11 or 8 bits.
double toleranceOf(at::ScalarType dtype) {
  if (dtype == at::kFloat) return 3e-5;
  return dtype == at::kHalf ? 4e-3 : 3e-2;
}

std::vector<at::ScalarType> dtypes() { return {at::kFloat, at::kHalf}; }

/// The same numbers for every dtype that is compared.
at::Tensor normals(at::IntArrayRef shape, const char* name, at::ScalarType dtype) {
  return Random(7, name).normalTensor(shape, 0, 1).to(dtype);
}

TEST(GpuOps, KernelsAreCompiledAndLoaded) {
  if (device().is_cpu()) {
    EXPECT_FALSE(gpuCompiler().empty());
    return;
  }
  ASSERT_TRUE(gpuCompiler().starts_with("NVRTC ")) << gpuCompiler();
  there(at::ones({1}));
  for (const cuda::KernelSource& source : kernelSources()) {
    EXPECT_NE(cuda::Module::of(source, device()), nullptr) << source.name;
  }
}

struct AttentionCase {
  int64_t n, R, K, H;
};
const AttentionCase kAttention[] = {{1, 1, 1, 8},       {1, 1, 7, 5},      {3, 4, 6, 16},
                                    {2, 3, 300, 9},     {1, 17, 2049, 64}, {1, 256, 5000, 768},
                                    {2, 2100, 1000, 4}, {8, 16, 8, 512}};

TEST(GpuOps, CrossAttention) {
  for (const at::ScalarType dtype : dtypes()) {
    for (const auto& [n, R, K, H] : kAttention) {
      const std::string what = std::string(c10::toString(dtype)) + " " + std::to_string(R) + " by " +
                               std::to_string(K) + " of " + std::to_string(H);
      const double scale = 1 / std::sqrt(static_cast<double>(H));
      const at::Tensor q = normals({n, R, H}, "q", dtype), rows = normals({n, K, H}, "rows", dtype),
                       dh = normals({n, R, H}, "dh", dtype);
      const auto run = [&](const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& gradient) {
        const at::Tensor q = queries.detach().requires_grad_(), rows = keys.detach().requires_grad_();
        const CrossAttention all = crossAttention(q, rows, scale, {.argmax = true});
        auto results = torch::autograd::grad({all.h_nRH}, {q, rows}, {gradient});
        results.push_back(all.h_nRH.detach());
        return results;
      };
      const auto got = run(there(q), there(rows), there(dh));
      const auto wanted = run(q.to(at::kDouble), rows.to(at::kDouble), dh.to(at::kDouble));
      const char* names[] = {"dq", "drows", "h"};
      for (size_t i = 0; i < wanted.size(); ++i) {
        expectNear(got[i], wanted[i], toleranceOf(dtype), what + ": " + names[i]);
      }
    }
  }
}

TEST(GpuOps, CrossAttentionNamesTheSameRow) {
  const at::Tensor q = normals({1, 64, 32}, "q", at::kFloat),
                   rows = normals({1, 3000, 32}, "rows", at::kFloat);
  const CrossAttention got = crossAttention(there(q), there(rows), 0.2, {.alpha = true, .argmax = true});
  const CrossAttention wanted = crossAttention(q, rows, 0.2, {.alpha = true, .argmax = true});
  EXPECT_TRUE(got.argmax_nR.cpu().equal(wanted.argmax_nR));
  expectNear(got.alpha_nRK, wanted.alpha_nRK, 1e-5, "alpha");
}

TEST(GpuOps, CrossAttentionTwiceDifferentiated) {
  const auto second = [](const at::Tensor& queries, const at::Tensor& keys) {
    const at::Tensor q = queries.detach().requires_grad_(), rows = keys.detach().requires_grad_();
    const at::Tensor h = crossAttention(q, rows, 0.5).h_nRH;
    const at::Tensor first = torch::autograd::grad({h.pow(2).sum()}, {q}, {}, true, true)[0];
    return torch::autograd::grad({first.pow(2).sum()}, {q, rows});
  };
  const at::Tensor q = normals({2, 20, 4}, "q", at::kFloat), rows = normals({2, 300, 4}, "rows", at::kFloat);
  const auto got = second(there(q), there(rows));
  const auto wanted = second(q.to(at::kDouble), rows.to(at::kDouble));
  for (size_t i = 0; i < wanted.size(); ++i) expectNear(got[i], wanted[i], 3e-5, "second derivative");
}

TEST(GpuOps, MaskedNll) {
  for (const at::ScalarType dtype : dtypes()) {
    for (const auto& [N, V] :
         std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 5}, {7, 50265}, {513, 1003}}) {
      const std::string what =
          std::string(c10::toString(dtype)) + " " + std::to_string(N) + " rows of " + std::to_string(V);
      const at::Tensor logits = normals({N, V}, "logits", dtype).mul_(3);
      const at::Tensor labels = at::arange(N).mul(97).remainder(V);
      const at::Tensor weight = Random(5, "weight").normalTensor({N}, 0.5, 0.2);
      const auto run = [&](at::Tensor scratch, const at::Tensor& ids, const at::Tensor& weights) {
        const auto like = scratch.options();
        RowScores scores{at::empty({N}, like.dtype(weights.scalar_type())),
                         at::empty({N}, like.dtype(at::kLong))};
        maskedNll(scratch, ids, weights, scores);
        return std::vector<at::Tensor>{scratch, scores.logProb_N, scores.argmax_N};
      };
      const auto got = run(there(logits.clone()), there(labels), there(weight));
      const at::Tensor exact = logits.to(at::kDouble);
      const at::Tensor logProb = at::log_softmax(exact, 1);
      const at::Tensor oneHot = at::zeros_like(exact).scatter_(1, labels.unsqueeze(1), 1.0);
      expectNear(got[0], (logProb.exp() - oneHot) * weight.to(at::kDouble).unsqueeze(1), toleranceOf(dtype),
                 what + ": gradient");
      expectNear(got[1], logProb.gather(1, labels.unsqueeze(1)).squeeze(1), toleranceOf(dtype),
                 what + ": log-probability");
      // Among halves several logits are the largest: the first of them counts.
      EXPECT_TRUE(got[2].cpu().equal(logits.argmax(1))) << what;
    }
  }
}

// Of one kernel without matrix products, which are bf16 on some devices alone.
TEST(GpuOps, MaskedKl) {
  for (const at::ScalarType dtype : {at::kFloat, at::kHalf, at::kBFloat16}) {
    for (const auto& [N, V] :
         std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 5}, {7, 50265}, {513, 1003}}) {
      const std::string what =
          std::string(c10::toString(dtype)) + " " + std::to_string(N) + " rows of " + std::to_string(V);
      const at::Tensor p = normals({N, V}, "p", dtype), q = normals({N, V}, "q", dtype);
      const at::Tensor weight = Random(5, "weight").normalTensor({N}, 0.5, 0.2);
      const at::Tensor gradient = there(q.clone()), kl = there(at::empty({N}));
      maskedKl(there(p), gradient, there(weight), kl);
      const at::Tensor exactP = p.to(at::kDouble), exactQ = q.to(at::kDouble);
      expectNear(kl, maskedKlReference(exactP, exactQ), toleranceOf(dtype), what + ": divergence");
      expectNear(gradient,
                 (at::softmax(exactQ, 1) - at::softmax(exactP, 1)) * weight.to(at::kDouble).unsqueeze(1),
                 toleranceOf(dtype), what + ": gradient");
    }
  }
}

TEST(GpuOps, MaskedKlTwiceDifferentiated) {
  const auto second = [](const at::Tensor& constant, const at::Tensor& logits) {
    const at::Tensor q = logits.detach().requires_grad_();
    const at::Tensor first =
        torch::autograd::grad({maskedKl(constant, q).pow(2).sum()}, {q}, {}, true, true)[0];
    return torch::autograd::grad({first.pow(2).sum()}, {q})[0];
  };
  const at::Tensor p = normals({3, 40}, "p", at::kFloat), q = normals({3, 40}, "q", at::kFloat);
  expectNear(second(there(p), there(q)), second(p.to(at::kDouble), q.to(at::kDouble)), 3e-5,
             "second derivative");
}

TEST(GpuOps, PrefixAttention) {
  const std::vector<int64_t> lengths = {3, 0, 40, 1, 7};
  const int64_t N = 51, R = 5, longest = 40;
  for (const at::ScalarType dtype : {at::kFloat, at::kHalf, at::kBFloat16}) {
    for (const auto& [H, C] : std::vector<std::pair<int64_t, int64_t>>{{1, 5}, {8, 64}, {2, 128}, {1, 160}}) {
      const at::Tensor q = normals({R, H * C}, "q", dtype), k = normals({N, H * C}, "k", dtype),
                       v = normals({N, H * C}, "v", dtype), bias = normals({H, longest}, "bias", dtype);
      const double scale = 1 / std::sqrt(static_cast<double>(C));
      const at::Tensor got = prefixAttention(there(q), there(k), there(v), Spans::packed(lengths, device()),
                                             H, scale, there(bias));
      const at::Tensor wanted =
          prefixAttentionReference(q.to(at::kDouble), k.to(at::kDouble), v.to(at::kDouble),
                                   Spans::packed(lengths, at::kCPU), H, scale, bias.to(at::kDouble));
      expectNear(
          got, wanted, toleranceOf(dtype),
          std::string(c10::toString(dtype)) + " " + std::to_string(H) + " heads of " + std::to_string(C));
    }
  }
}

}  // namespace
}  // namespace seprog::gpu
