// Attention of one new position a row: the fused kernel against the definition, and that rows know nothing of each other.
#include "core/ops/prefix_attention/prefix_attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <numeric>
#include <ostream>

#include "core/instrument/flops.h"
#include "core/layers/decode_cache.h"
#include "core/ops/kernels.h"
#include "core/tensor/random.h"

namespace seprog {
namespace {

at::Tensor normals(at::IntArrayRef shape, const char* name) {
  return Random(7, name).normalTensor(shape, 0, 1);
}

struct SpanCase {
  std::vector<int64_t> lengths;
  int64_t H, C;
  double scale;
  bool bias;
};

void PrintTo(const SpanCase& shape, std::ostream* out) {
  for (const int64_t length : shape.lengths) *out << length << " ";
  *out << "positions, " << shape.H << " heads of " << shape.C << ", scale " << shape.scale;
}

// No position, one, a prefix of 32 and tokens behind it; heads narrower than a vector, wider and beside its width.
const SpanCase kSpanCases[] = {
    {{1}, 1, 1, 1, false},
    {{0}, 2, 8, 1, true},
    {{5, 0, 1, 9}, 2, 8, 0.35, false},
    {{33, 34, 32, 33, 1}, 8, 64, 1, true},
    {{7, 3, 24, 24, 0, 11, 2}, 12, 64, 0.125, false},
    {{300}, 3, 17, 0.25, true},
    {{4, 4, 4}, 5, 33, 3, true},
};

struct Inputs {
  explicit Inputs(const SpanCase& shape) : heads(shape.H), scale(shape.scale) {
    const int64_t R = static_cast<int64_t>(shape.lengths.size()), D = shape.H * shape.C;
    spans = Spans::packed(shape.lengths, at::kCPU);
    const int64_t N = std::accumulate(shape.lengths.begin(), shape.lengths.end(), int64_t{0});
    q_RD = normals({R, D}, "q");
    k_ND = normals({N, D}, "k");
    v_ND = normals({N, D}, "v");
    if (shape.bias) bias_HT = normals({shape.H, spans.longest}, "bias");
  }
  at::Tensor fused() const { return prefixAttention(q_RD, k_ND, v_ND, spans, heads, scale, bias_HT); }
  at::Tensor exact() const {
    return prefixAttentionReference(q_RD.to(at::kDouble), k_ND.to(at::kDouble), v_ND.to(at::kDouble), spans,
                                    heads, scale, bias_HT.defined() ? bias_HT.to(at::kDouble) : bias_HT);
  }
  at::Tensor q_RD, k_ND, v_ND, bias_HT;
  Spans spans;
  int64_t heads;
  double scale;
};

double distance(const at::Tensor& a, const at::Tensor& b) {
  return a.numel() == 0 ? 0 : a.to(at::kDouble).sub(b.to(at::kDouble)).abs().max().item<double>();
}

class SpanAttention : public testing::TestWithParam<SpanCase> {};
INSTANTIATE_TEST_SUITE_P(Shapes, SpanAttention, testing::ValuesIn(kSpanCases));

TEST_P(SpanAttention, HasTheValuesOfTheDefinition) {
  const Inputs inputs(GetParam());
  // Products in float: their error grows with the scores, e^s passes it on to every weight.
  EXPECT_LT(distance(inputs.fused(), inputs.exact()), 2e-5);
}

TEST_P(SpanAttention, TheDefinitionIsSoftmaxOverARowsOwnPositions) {
  const Inputs inputs(GetParam());
  const at::Tensor got_RD = inputs.exact();
  const int64_t H = inputs.heads, C = inputs.q_RD.size(1) / H;
  int64_t first = 0;
  for (size_t r = 0; r < GetParam().lengths.size(); ++r) {
    const int64_t T = GetParam().lengths[r];
    const auto byHead = [&](const at::Tensor& rows) {
      return rows.to(at::kDouble).view({-1, H, C}).transpose(0, 1);
    };
    const at::Tensor q_H1C = byHead(inputs.q_RD.narrow(0, static_cast<int64_t>(r), 1));
    at::Tensor score_H1T =
        at::matmul(q_H1C, byHead(inputs.k_ND.narrow(0, first, T)).transpose(1, 2)) * inputs.scale;
    if (inputs.bias_HT.defined()) score_H1T = score_H1T + inputs.bias_HT.narrow(1, 0, T).unsqueeze(1);
    const at::Tensor wanted_H1C =
        at::matmul(at::softmax(score_H1T, 2), byHead(inputs.v_ND.narrow(0, first, T)));
    EXPECT_LT(distance(got_RD[static_cast<int64_t>(r)].view({H, 1, C}), wanted_H1C), 1e-12) << "row " << r;
    first += T;
  }
}

TEST_P(SpanAttention, ARowHasTheSameBitsAlone) {
  const Inputs inputs(GetParam());
  for (const Kernels policy : {Kernels::Fused, Kernels::Reference}) {
    useKernels(policy);
    const at::Tensor all_RD = inputs.fused();
    for (int64_t r = 0; r < all_RD.size(0); ++r) {
      const at::Tensor alone = prefixAttention(inputs.q_RD.narrow(0, r, 1), inputs.k_ND, inputs.v_ND,
                                               inputs.spans.select(at::tensor({r}, at::kLong)), inputs.heads,
                                               inputs.scale, inputs.bias_HT);
      EXPECT_TRUE(at::equal(alone, all_RD.narrow(0, r, 1))) << "row " << r << ", " << kernelsName(policy);
    }
    useKernels(Kernels::Fused);
  }
}

/// Queries beside keys and values, as GPT-2 projects them, and tensors that begin off a vector's boundary.
TEST_P(SpanAttention, ReadsStridedAndMisalignedRows) {
  Inputs inputs(GetParam());
  const at::Tensor wanted = inputs.fused();
  const auto shifted = [](const at::Tensor& from) {
    return at::cat({at::zeros({1}), from.reshape({-1})}).narrow(0, 1, from.numel()).view(from.sizes());
  };
  inputs.k_ND = shifted(inputs.k_ND);
  inputs.v_ND = shifted(inputs.v_ND);
  inputs.q_RD = at::cat({inputs.q_RD, inputs.q_RD + 1, inputs.q_RD + 2}, 1).narrow(1, 0, inputs.q_RD.size(1));
  EXPECT_TRUE(at::equal(inputs.fused(), wanted));
}

TEST(SpanAttention, CountsItsProducts) {
  const Inputs inputs({{5, 3}, 2, 8, 1, false});
  const FlopCounter counter;
  inputs.fused();
  EXPECT_EQ(counter.counts().forward, 2 * 2 * (2 * 16) * 5);
}

/// Rows that come, grow beyond the room they have and leave, against lists.
TEST(DecodeCache, HoldsWhatEachRowHasSeen) {
  constexpr int64_t kWidth = 3;
  DecodeCache cache(2, 4, at::kCPU);
  std::vector<std::vector<float>> seen(4);
  float next = 0;
  const auto append = [&](const std::vector<int64_t>& added) {
    cache.extend(added);
    std::vector<float> rows;
    for (size_t r = 0; r < added.size(); ++r) {
      for (int64_t t = 0; t < added[r]; ++t) {
        seen[r].push_back(next);
        for (int64_t d = 0; d < kWidth; ++d) rows.push_back(next);
        ++next;
      }
    }
    const at::Tensor k_ND = at::tensor(at::ArrayRef<float>(rows)).view({-1, kWidth});
    cache.append(0, {k_ND, -k_ND});
    cache.append(1, {k_ND + 0.5, k_ND});
  };
  const auto check = [&] {
    for (const int64_t layer : {0, 1}) {
      const SpanMemory memory = cache.memory(layer);
      for (size_t r = 0; r < seen.size(); ++r) {
        const int64_t first = memory.spans.first_R[static_cast<int64_t>(r)].item<int64_t>();
        ASSERT_EQ(memory.spans.count_R[static_cast<int64_t>(r)].item<int64_t>(),
                  static_cast<int64_t>(seen[r].size()));
        for (size_t t = 0; t < seen[r].size(); ++t) {
          const auto place = first + static_cast<int64_t>(t);
          const float wanted = seen[r][t];
          EXPECT_EQ(memory.seen.k_ND[place][kWidth - 1].item<float>(), layer == 0 ? wanted : wanted + 0.5f);
          EXPECT_EQ(memory.seen.v_ND[place][0].item<float>(), layer == 0 ? -wanted : wanted);
        }
      }
    }
  };
  append({3, 5, 1, 2});
  check();
  for (int t = 0; t < 6; ++t) append({1, 1, 1, 1});
  check();
  cache.keep(at::tensor({3, 1}, at::kLong));
  seen = {seen[3], seen[1]};
  check();
  for (int t = 0; t < 20; ++t) append({1, 1});
  check();
  EXPECT_EQ(cache.longest(), 31);
  cache.keep(at::tensor({1}, at::kLong));
  seen = {seen[1]};
  append({2});
  check();
}

}  // namespace
}  // namespace seprog
