// C rows of a block, B best rows of a query.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_int_mm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "../../error.h"
#include "../../tensor/exponential.h"
#include "../../tensor/vectorise.h"
#include "cross_attention.h"

namespace seprog {
namespace {

constexpr float kLargestCode = 127.0f;
constexpr int64_t kBlockElements = 1 << 20;
constexpr int64_t kLeastRows = 256;
constexpr int64_t kLanes = 32;
// Floats of exact rows that are gathered at a time, 16 MiB.
constexpr int64_t kGatheredElements = 1 << 22;
// A block whose weights are below this share of what every query has summed adds nothing that fp32 keeps.
constexpr float kNoShare = 0x1p-30f;

SEPROG_VECTORISED void quantiseRow(const float* x, int8_t* code, int64_t count, float inverse) {
  constexpr float kRound = 12582912.0f;  // 1.5 · 2^23: adding and taking it away rounds to an integer
  for (int64_t i = 0; i < count; ++i) code[i] = static_cast<int8_t>((x[i] * inverse + kRound) - kRound);
}

SEPROG_VECTORISED float largestMagnitude(const float* x, int64_t count) {
  float lane[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l)
      lane[l] = std::abs(x[i + l]) > lane[l] ? std::abs(x[i + l]) : lane[l];
  }
  for (; i < count; ++i) lane[0] = std::max(lane[0], std::abs(x[i]));
  return *std::max_element(lane, lane + kLanes);
}

/// s = product · queryScale · rowScale; the largest of them.
SEPROG_VECTORISED float restore(const int32_t* product, const float* rowScale, float queryScale, float* s,
                                int64_t count) {
  float lane[kLanes];
  std::fill(lane, lane + kLanes, -std::numeric_limits<float>::infinity());
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) {
      s[i + l] = static_cast<float>(product[i + l]) * queryScale * rowScale[i + l];
      lane[l] = s[i + l] > lane[l] ? s[i + l] : lane[l];
    }
  }
  for (; i < count; ++i) {
    s[i] = static_cast<float>(product[i]) * queryScale * rowScale[i];
    lane[0] = std::max(lane[0], s[i]);
  }
  return *std::max_element(lane, lane + kLanes);
}

/// Sum of p = e^(s − shift); s becomes p · rowScale, the factor of the row's code.
SEPROG_VECTORISED float weigh(float* s, const float* rowScale, int64_t count, float shift) {
  float lane[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) {
      const float p = exponential(s[i + l] - shift);
      lane[l] += p;
      s[i + l] = p * rowScale[i + l];
    }
  }
  for (; i < count; ++i) {
    const float p = exponential(s[i] - shift);
    lane[0] += p;
    s[i] = p * rowScale[i];
  }
  float sum = 0;
  for (const float part : lane) sum += part;
  return sum;
}

/// The best rows of one query so far: a heap with the weakest in front.
class Best {
 public:
  explicit Best(int64_t count) : count_(count) { rows_.reserve(count); }

  bool isOpenTo(float s) const { return static_cast<int64_t>(rows_.size()) < count_ || s > rows_.front().s; }
  void offer(float s, int64_t row) {
    if (!isOpenTo(s)) return;
    if (static_cast<int64_t>(rows_.size()) == count_) {
      std::pop_heap(rows_.begin(), rows_.end(), isStronger);
      rows_.pop_back();
    }
    rows_.push_back({s, row});
    std::push_heap(rows_.begin(), rows_.end(), isStronger);
  }
  void offerAll(const float* s, int64_t count, int64_t first) {
    for (int64_t i = 0; i < count; i += kLanes) {
      const int64_t end = std::min(count, i + kLanes);
      float top = s[i];
      for (int64_t j = i + 1; j < end; ++j) top = s[j] > top ? s[j] : top;
      if (!isOpenTo(top)) continue;
      for (int64_t j = i; j < end; ++j) offer(s[j], first + j);
    }
  }

  struct Row {
    float s;
    int64_t row;
  };
  /// By row, so that the first of equal ones is found first.
  std::vector<Row> sorted() const {
    std::vector<Row> rows = rows_;
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.row < b.row; });
    return rows;
  }

 private:
  static bool isStronger(const Row& a, const Row& b) { return a.s > b.s; }
  int64_t count_;
  std::vector<Row> rows_;
};

}  // namespace

Int8Rows quantiseRows(const at::Tensor& rows_KH) {
  at::NoGradGuard noGrad;
  const at::Tensor rows = rows_KH.contiguous();
  const int64_t K = rows.size(0), H = rows.size(1);
  Int8Rows quantised = {at::empty({K, H}, rows.options().dtype(at::kChar)), at::empty({K}, rows.options())};
  const auto* x = rows.const_data_ptr<float>();
  auto* code = quantised.codes_KH.data_ptr<int8_t>();
  auto* scale = quantised.scale_K.data_ptr<float>();
  at::parallel_for(0, K, 64, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      const float largest = largestMagnitude(x + k * H, H);
      scale[k] = largest / kLargestCode;
      quantiseRow(x + k * H, code + k * H, H, largest > 0 ? kLargestCode / largest : 0.0f);
    }
  });
  return quantised;
}

CrossAttention crossAttentionInt8(const at::Tensor& q_RH, const at::Tensor& rows_KH, const Int8Rows& codes,
                                  double scale, int64_t best) {
  at::NoGradGuard noGrad;
  const int64_t R = q_RH.size(0), K = rows_KH.size(0), H = q_RH.size(1);
  if (!q_RH.is_cpu() || q_RH.scalar_type() != at::kFloat || codes.codes_KH.size(0) != K || K == 0 ||
      best < 1) {
    fail(ErrorCode::ShapeMismatch,
         "expected float queries on the CPU and the codes of all rows for `crossAttentionInt8`");
  }
  const Int8Rows queries = quantiseRows(q_RH);
  const at::Tensor acc_RH = at::zeros({R, H}, q_RH.options());
  std::vector<float> max(R, -std::numeric_limits<float>::infinity()), sum(R, 0.0f);
  std::vector<Best> bests(R, Best(std::min(best, K)));
  const auto* queryScale = queries.scale_K.const_data_ptr<float>();
  auto* acc = acc_RH.data_ptr<float>();

  const int64_t rows = std::min(K, std::max(kLeastRows, kBlockElements / std::max<int64_t>(1, R)));
  const at::Tensor flat_s = at::empty({R * rows}, q_RH.options());
  for (int64_t first = 0; first < K; first += rows) {
    const int64_t C = std::min(rows, K - first);
    const at::Tensor codes_CH = codes.codes_KH.narrow(0, first, C);
    const at::Tensor product_RC = at::_int_mm(queries.codes_KH, codes_CH.t()).contiguous();
    const at::Tensor s_RC = flat_s.narrow(0, 0, R * C).view({R, C});
    const auto* product = product_RC.const_data_ptr<int32_t>();
    const float* rowScale = codes.scale_K.const_data_ptr<float>() + first;
    auto* s = s_RC.data_ptr<float>();
    std::vector<char> counts(R, 0);
    at::parallel_for(0, R, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const float factor = queryScale[r] * static_cast<float>(scale);
        const float top = restore(product + r * C, rowScale, factor, s + r * C, C);
        if (bests[r].isOpenTo(top)) bests[r].offerAll(s + r * C, C, first);
        if (top > max[r]) {
          const float shrink = std::exp(max[r] - top);
          max[r] = top;
          sum[r] *= shrink;
          for (int64_t h = 0; h < H; ++h) acc[r * H + h] *= shrink;
        }
        const float mass = weigh(s + r * C, rowScale, C, max[r]);
        sum[r] += mass;
        counts[r] = mass > kNoShare * sum[r] || std::isnan(mass);
      }
    });
    if (std::any_of(counts.begin(), counts.end(), [](char one) { return one != 0; })) {
      acc_RH.addmm_(s_RC, codes_CH.to(at::kFloat));
    }
  }

  // The best rows leave with the weights of their codes and come back with their own.
  CrossAttention result;
  result.argmax_nR = at::empty({1, R}, q_RH.options().dtype(at::kLong));
  auto* argmax = result.argmax_nR.data_ptr<int64_t>();
  const int64_t B = std::min(best, K);
  const int64_t part = std::max<int64_t>(1, kGatheredElements / (B * H));
  for (int64_t first = 0; first < R; first += part) {
    const int64_t count = std::min(part, R - first);
    const at::Tensor index_RB = at::empty({count, B}, q_RH.options().dtype(at::kLong));
    const at::Tensor coded_RB = at::empty({count, B}, q_RH.options());
    for (int64_t r = 0; r < count; ++r) {
      const std::vector<Best::Row> found = bests[first + r].sorted();
      for (int64_t b = 0; b < B; ++b) {
        index_RB.data_ptr<int64_t>()[r * B + b] = found[b].row;
        coded_RB.data_ptr<float>()[r * B + b] = found[b].s;
      }
    }
    const at::Tensor index = index_RB.view({count * B});
    const at::Tensor exact_RBH = rows_KH.index_select(0, index).view({count, B, H});
    const at::Tensor s_RB =
        at::bmm(exact_RBH, q_RH.narrow(0, first, count).unsqueeze(2)).squeeze(2).mul_(scale);
    const at::Tensor coded_RBH = codes.codes_KH.index_select(0, index)
                                     .to(at::kFloat)
                                     .mul_(codes.scale_K.index_select(0, index).unsqueeze(1));
    at::Tensor max_R1 = at::empty({count, 1}, q_RH.options());
    at::Tensor sum_R1 = at::empty({count, 1}, q_RH.options());
    std::copy_n(max.begin() + first, count, max_R1.data_ptr<float>());
    std::copy_n(sum.begin() + first, count, sum_R1.data_ptr<float>());
    const at::Tensor top_R1 = max_R1.maximum(s_RB.amax(1, true));
    const at::Tensor shrink_R1 = max_R1.sub(top_R1).exp_();
    const at::Tensor own_RB = s_RB.sub(top_R1).exp_();
    const at::Tensor left_RB = coded_RB.sub(top_R1).exp_();
    sum_R1 = sum_R1 * shrink_R1 + (own_RB - left_RB).sum(1, true);
    const at::Tensor h_RH = acc_RH.narrow(0, first, count);
    h_RH.mul_(shrink_R1);
    h_RH.sub_(at::bmm(left_RB.unsqueeze(1), coded_RBH.view({count, B, H})).squeeze(1));
    h_RH.add_(at::bmm(own_RB.unsqueeze(1), exact_RBH).squeeze(1)).div_(sum_R1);
    const at::Tensor picked_R1 = index_RB.gather(1, s_RB.argmax(1, true));
    std::copy_n(picked_R1.const_data_ptr<int64_t>(), count, argmax + first);
  }
  result.h_nRH = acc_RH.unsqueeze(0);
  return result;
}

}  // namespace seprog
