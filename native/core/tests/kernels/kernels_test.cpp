// The sources of the CUDA kernels, run by fibres under the sanitizers and compared with the formulas in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "fibres.h"

// The kernels include nothing; what they stand on comes first.
#include "core/cuda/prelude.cu"
#include "core/ops/cross_attention/cuda.cu"

namespace nll {
#include "core/ops/masked_nll/cuda.cu"
}
#include "core/ops/masked_kl/cuda.cu"
#include "core/ops/prefix_attention/cuda.cu"

namespace {

using fibres::Schedule;

struct Run {
  Schedule schedule;
  unsigned threads;
  uint64_t seed;
};

std::vector<Run> runs() {
  std::vector<Run> all;
  for (const Schedule schedule : {Schedule::Fair, Schedule::Unfair}) {
    for (const unsigned threads : {32u, 96u}) {
      for (const uint64_t seed : {1u, 2u, 3u}) all.push_back({schedule, threads, seed});
    }
  }
  return all;
}

template <typename T>
std::vector<T> normals(size_t count, uint64_t seed, double scale) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0, scale);
  std::vector<T> values(count);
  for (T& value : values) store(&value, static_cast<float>(normal(random)));
  return values;
}

// fp16 keeps 11 bits of each weight, bf16 8; sums are in float for all.
template <typename T>
constexpr double kTolerance = std::is_same_v<T, float>  ? 2e-6
                              : std::is_same_v<T, Half> ? 2e-3
                                                        : 1.6e-2;

// The kernels' names carry their dtypes, as C has no overloads.
#define FOR_EACH_DTYPE(DEFINE) DEFINE(float, f32) DEFINE(Half, f16) DEFINE(Bf16, bf16)
#define KERNELS_OF(T, NAME)                                                                                 \
  void advanceOf(T* s, int C, Index first, float* max, float* sum, float* acc, int H, Index* argmax) {      \
    advance_##NAME(s, C, first, max, sum, acc, H, argmax);                                                  \
  }                                                                                                         \
  void backOf(T* s, T* dp, int C, const float* logSum, const float* dot) {                                  \
    back_##NAME(s, dp, C, logSum, dot);                                                                     \
  }                                                                                                         \
  void scoreOf(T* logits, int V, const Index* labels, const float* weight, float* logProb, Index* argmax) { \
    nll::score_##NAME(logits, V, labels, weight, logProb, argmax);                                          \
  }                                                                                                         \
  void divergenceOf(const T* p, T* q, int V, const float* weight, float* kl) {                              \
    divergence_##NAME(p, q, V, weight, kl);                                                                 \
  }                                                                                                         \
  void attendOf(const T* q, Index qStride, const T* k, const T* v, const Index* first, const Index* count,  \
                int R, int H, int C, float scale, const T* bias, Index biasStride, T* out) {                \
    attend_##NAME(q, qStride, k, v, first, count, R, H, C, scale, bias, biasStride, out);                   \
  }
FOR_EACH_DTYPE(KERNELS_OF)

/// Σ e^(s − max) rows in one go, in double.
template <typename T>
void advanceInBlocks(const Run& run, int G, int K, int C, double scale) {
  const int H = 5;
  const std::vector<T> s_GK = normals<T>(static_cast<size_t>(G) * K, run.seed, scale);
  const std::vector<float> rows_KH = normals<float>(static_cast<size_t>(K) * H, run.seed + 1, 1);
  std::vector<float> max(G, -std::numeric_limits<float>::infinity()), sum(G, 0.0f), acc(G * H, 0.0f);
  std::vector<Index> argmax(G, -1);
  for (int first = 0; first < K; first += C) {
    const int count = std::min(C, K - first);
    std::vector<T> block(static_cast<size_t>(G) * count);
    for (int g = 0; g < G; ++g) std::copy_n(s_GK.begin() + g * K + first, count, block.begin() + g * count);
    fibres::launch(G, run.threads, run.schedule, run.seed, [&] {
      advanceOf(block.data(), count, first, max.data(), sum.data(), acc.data(), H, argmax.data());
    });
    for (int g = 0; g < G; ++g) {
      for (int k = 0; k < count; ++k) {
        for (int h = 0; h < H; ++h)
          acc[g * H + h] += toFloat(block[g * count + k]) * rows_KH[(first + k) * H + h];
      }
    }
  }
  for (int g = 0; g < G; ++g) {
    const auto at = [&](int k) { return static_cast<double>(toFloat(s_GK[g * K + k])); };
    int best = 0;
    for (int k = 1; k < K; ++k) best = at(k) > at(best) ? k : best;
    double exactSum = 0;
    std::vector<double> exact(H);
    for (int k = 0; k < K; ++k) {
      const double p = std::exp(at(k) - at(best));
      exactSum += p;
      for (int h = 0; h < H; ++h) exact[h] += p * rows_KH[k * H + h];
    }
    EXPECT_EQ(argmax[g], best);
    EXPECT_EQ(max[g], static_cast<float>(at(best)));
    EXPECT_NEAR(sum[g], exactSum, kTolerance<T> * exactSum);
    for (int h = 0; h < H; ++h) EXPECT_NEAR(acc[g * H + h] / sum[g], exact[h] / exactSum, 4 * kTolerance<T>);
  }
}

template <typename T>
void backOfOneBlock(const Run& run, int G, int C) {
  const std::vector<T> s = normals<T>(static_cast<size_t>(G) * C, run.seed, 1);
  const std::vector<T> dp = normals<T>(static_cast<size_t>(G) * C, run.seed + 1, 1);
  const std::vector<float> logSum = normals<float>(G, run.seed + 2, 1),
                           dot = normals<float>(G, run.seed + 3, 1);
  std::vector<T> p = s, ds = dp;
  fibres::launch(G, run.threads, run.schedule, run.seed,
                 [&] { backOf(p.data(), ds.data(), C, logSum.data(), dot.data()); });
  for (int i = 0; i < G * C; ++i) {
    const double weight = std::exp(static_cast<double>(toFloat(s[i])) - logSum[i / C]);
    EXPECT_NEAR(toFloat(p[i]), weight, kTolerance<T> * weight);
    const double slope = weight * (static_cast<double>(toFloat(dp[i])) - dot[i / C]);
    EXPECT_NEAR(toFloat(ds[i]), slope, kTolerance<T> * weight * 4);
  }
}

template <typename T>
void scoreRows(const Run& run, int N, int V, double scale, bool weighted) {
  const std::vector<T> logits = normals<T>(static_cast<size_t>(N) * V, run.seed, scale);
  std::vector<Index> labels(N);
  for (int n = 0; n < N; ++n) labels[n] = (n * 7 + static_cast<int>(run.seed)) % V;
  const std::vector<float> weight = normals<float>(N, run.seed + 1, 1);
  std::vector<T> gradient = logits;
  std::vector<float> logProb(N);
  std::vector<Index> argmax(N);
  fibres::launch(N, run.threads, run.schedule, run.seed, [&] {
    scoreOf(gradient.data(), V, labels.data(), weighted ? weight.data() : nullptr, logProb.data(),
            argmax.data());
  });
  for (int n = 0; n < N; ++n) {
    const auto at = [&](int v) { return static_cast<double>(toFloat(logits[n * V + v])); };
    int best = 0;
    for (int v = 1; v < V; ++v) best = at(v) > at(best) ? v : best;
    double sum = 0;
    for (int v = 0; v < V; ++v) sum += std::exp(at(v) - at(best));
    const auto label = static_cast<int>(labels[n]);
    EXPECT_EQ(argmax[n], best);
    EXPECT_NEAR(logProb[n], at(label) - at(best) - std::log(sum), 2e-5);
    for (int v = 0; v < V; ++v) {
      const double exact = weight[n] * (std::exp(at(v) - at(best)) / sum - (v == label ? 1 : 0));
      const double expected = weighted ? exact : at(v);
      EXPECT_NEAR(toFloat(gradient[n * V + v]), expected,
                  kTolerance<T> * std::max(1e-2, std::abs(expected)) * 10);
    }
  }
}

template <typename T>
void divergeRows(const Run& run, int N, int V, double scale, bool weighted) {
  const std::vector<T> p = normals<T>(static_cast<size_t>(N) * V, run.seed, scale);
  const std::vector<T> q = normals<T>(static_cast<size_t>(N) * V, run.seed + 1, scale);
  const std::vector<float> weight = normals<float>(N, run.seed + 2, 1);
  std::vector<T> gradient = q;
  std::vector<float> kl(N);
  fibres::launch(N, run.threads, run.schedule, run.seed, [&] {
    divergenceOf(p.data(), gradient.data(), V, weighted ? weight.data() : nullptr, kl.data());
  });
  for (int n = 0; n < N; ++n) {
    const auto logSum = [&](const std::vector<T>& x) {
      double sum = 0;
      for (int v = 0; v < V; ++v) sum += std::exp(static_cast<double>(toFloat(x[n * V + v])));
      return std::log(sum);
    };
    const double logSumP = logSum(p), logSumQ = logSum(q);
    double exact = 0;
    for (int v = 0; v < V; ++v) {
      const double logP = toFloat(p[n * V + v]) - logSumP, logQ = toFloat(q[n * V + v]) - logSumQ;
      exact += std::exp(logP) * (logP - logQ);
      const double slope = weight[n] * (std::exp(logQ) - std::exp(logP));
      const double expected = weighted ? slope : toFloat(q[n * V + v]);
      EXPECT_NEAR(toFloat(gradient[n * V + v]), expected,
                  kTolerance<T> * std::max(1e-2, std::abs(expected)) * 10);
    }
    EXPECT_NEAR(kl[n], exact, 1e-5 * (1 + scale));  // of the logits as they are stored: float for all
  }
}

template <typename T>
void attendRows(const Run& run, int H, int C, bool biased) {
  const std::vector<Index> first = {0, 3, 3, 10}, count = {3, 0, 7, 1};
  const int R = 4, N = 11, D = H * C, longest = 7, qStride = D + 3;
  const std::vector<T> q = normals<T>(static_cast<size_t>(R) * qStride, run.seed, 1);
  const std::vector<T> k = normals<T>(static_cast<size_t>(N) * D, run.seed + 1, 1);
  const std::vector<T> v = normals<T>(static_cast<size_t>(N) * D, run.seed + 2, 1);
  const std::vector<T> bias = normals<T>(static_cast<size_t>(H) * longest, run.seed + 3, 2);
  std::vector<T> out(static_cast<size_t>(R) * D);
  const float scale = 0.5f;
  const unsigned warps = run.threads / kWarp;
  fibres::launch((R * H + warps - 1) / warps, run.threads, run.schedule, run.seed, [&] {
    attendOf(q.data(), qStride, k.data(), v.data(), first.data(), count.data(), R, H, C, scale,
             biased ? bias.data() : nullptr, longest, out.data());
  });
  for (int r = 0; r < R; ++r) {
    for (int h = 0; h < H; ++h) {
      std::vector<double> weight;
      double sum = 0;
      for (int t = 0; t < count[r]; ++t) {
        double s = biased ? toFloat(bias[h * longest + t]) : 0;
        for (int c = 0; c < C; ++c) {
          s += static_cast<double>(scale) * toFloat(q[r * qStride + h * C + c]) *
               toFloat(k[(first[r] + t) * D + h * C + c]);
        }
        weight.push_back(std::exp(s));
        sum += weight.back();
      }
      for (int c = 0; c < C; ++c) {
        double exact = 0;
        for (int t = 0; t < count[r]; ++t) {
          exact += weight[t] / sum * toFloat(v[(first[r] + t) * D + h * C + c]);
        }
        EXPECT_NEAR(toFloat(out[r * D + h * C + c]), exact, kTolerance<T> * 4 * (1 + std::abs(exact)));
      }
    }
  }
}

template <typename T>
class Kernels : public testing::Test {};
using Dtypes = testing::Types<float, Half, Bf16>;
TYPED_TEST_SUITE(Kernels, Dtypes);

TYPED_TEST(Kernels, ARunningSoftmaxOverBlocksIsTheSoftmax) {
  for (const Run& run : runs()) {
    advanceInBlocks<TypeParam>(run, 2, 70, 33, 3);
    advanceInBlocks<TypeParam>(run, 1, 1, 1, 1);      // one row
    advanceInBlocks<TypeParam>(run, 3, 300, 300, 5);  // more columns than threads, one block
    advanceInBlocks<TypeParam>(run, 1, 17, 4, 20);    // nearly one-hot
  }
}

TYPED_TEST(Kernels, SlopesOfTheSoftmaxAreThoseOfTheFormula) {
  for (const Run& run : runs()) {
    backOfOneBlock<TypeParam>(run, 2, 33);
    backOfOneBlock<TypeParam>(run, 1, 1);
  }
}

TYPED_TEST(Kernels, NegativeLogLikelihoodAndItsGradientAreThoseOfTheFormula) {
  for (const Run& run : runs()) {
    for (const bool weighted : {false, true}) {
      scoreRows<TypeParam>(run, 2, 301, 4, weighted);
      scoreRows<TypeParam>(run, 2, 2, 1, weighted);  // fewer classes than threads
      scoreRows<TypeParam>(run, 1, 64, 30, weighted);
    }
  }
}

TYPED_TEST(Kernels, DivergenceAndItsGradientAreThoseOfTheFormula) {
  for (const Run& run : runs()) {
    for (const bool weighted : {false, true}) {
      divergeRows<TypeParam>(run, 2, 301, 4, weighted);
      divergeRows<TypeParam>(run, 3, 2, 1, weighted);  // fewer classes than threads
      divergeRows<TypeParam>(run, 1, 1, 1, weighted);
      divergeRows<TypeParam>(run, 1, 64, 20, weighted);
    }
  }
}

TYPED_TEST(Kernels, AttentionOverSpansIsThatOfTheFormula) {
  for (const Run& run : runs()) {
    for (const bool biased : {false, true}) {
      attendRows<TypeParam>(run, 3, 8, biased);   // fewer channels than lanes
      attendRows<TypeParam>(run, 1, 70, biased);  // three channels in some lanes, two in others
    }
  }
}

TEST(Divergence, ASmallDivergenceKeepsItsDigits) {
  const int V = 300;
  const std::vector<float> p = normals<float>(V, 1, 2), apart = normals<float>(V, 2, 1e-3);
  std::vector<float> q = p;
  for (int v = 0; v < V; ++v) q[v] += apart[v];
  float kl = 0;
  fibres::launch(1, 64, Schedule::Fair, 1, [&] { divergence_f32(p.data(), q.data(), V, nullptr, &kl); });
  double sumP = 0, sumQ = 0, exact = 0;
  for (int v = 0; v < V; ++v) sumP += std::exp(double(p[v])), sumQ += std::exp(double(q[v]));
  for (int v = 0; v < V; ++v) {
    exact += std::exp(double(p[v])) / sumP * (double(p[v]) - q[v] - std::log(sumP) + std::log(sumQ));
  }
  EXPECT_LT(exact, 2e-6);
  EXPECT_NEAR(kl, exact, 2e-3 * exact);
}

TEST(Bf16, IsRoundedToTheNearestAndOfTwoToTheEven) {
  const auto through = [](float x) {
    Bf16 stored;
    store(&stored, x);
    return toFloat(stored);
  };
  EXPECT_EQ(through(1.0f), 1.0f);
  EXPECT_EQ(through(1.0f + 0x1p-8f), 1.0f);              // half way: down to the even one
  EXPECT_EQ(through(1.0f + 0x1.8p-7f), 1.0f + 0x1p-6f);  // half way: up to the even one
  EXPECT_EQ(through(1.0f + 0x1.02p-8f), 1.0f + 0x1p-7f);
  EXPECT_EQ(through(-3.0e38f), -0x1.c4p127f);
  EXPECT_TRUE(std::isinf(through(3.4e38f)));
  EXPECT_TRUE(std::isnan(through(std::numeric_limits<float>::quiet_NaN())));
}

// What the fibres are there for: without these the tests above would prove little.

TEST(Fibres, AMissingBarrierIsSeen) {
  const auto reversed = [](Schedule schedule, uint64_t seed) {
    static float shared[64];
    std::fill(shared, shared + 64, -1.0f);
    float wrong = 0;
    fibres::launch(1, 64, schedule, seed, [&] {
      shared[threadIdx.x] = static_cast<float>(threadIdx.x);
      // A barrier belongs here.
      wrong += shared[63 - threadIdx.x] == static_cast<float>(63 - threadIdx.x) ? 0 : 1;
    });
    return wrong;
  };
  EXPECT_GT(reversed(Schedule::Unfair, 1), 0);
}

TEST(Fibres, ABarrierForAPartOfTheThreadsIsRefused) {
  EXPECT_THROW(fibres::launch(1, 64, Schedule::Fair, 1,
                              [] {
                                if (threadIdx.x < 40) __syncthreads();
                              }),
               std::logic_error);
}

}  // namespace
