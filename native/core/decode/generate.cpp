// R live rows, V vocabulary.
#include "generate.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string_view>

#include "../ops/row_loops.h"
#include "../plan/planned_device.h"
#include "../tensor/random.h"

namespace seprog {
namespace {

std::vector<Random> streamsOf(const TokenBatch& source, uint64_t seed) {
  const at::Tensor ids_BS = source.ids_BS.to(at::kCPU).contiguous();
  std::vector<Random> streams;
  for (int64_t b = 0; b < source.rows(); ++b) {
    const int64_t* ids = ids_BS.const_data_ptr<int64_t>() + b * source.columns();
    streams.emplace_back(
        seed, std::string_view(reinterpret_cast<const char*>(ids), source.lengths[b] * sizeof(int64_t)));
  }
  return streams;
}

/// One id a row; live[r] is the row of the batch whose stream row r draws from.
at::Tensor draw(const at::Tensor& logits_RV, double temperature, const std::vector<int64_t>& live,
                std::vector<Random>& streams) {
  const at::Tensor wide_RV = logits_RV.to(at::kCPU, at::kFloat).contiguous();
  const int64_t vocabulary = wide_RV.size(1);
  at::Tensor ids_R = at::empty({wide_RV.size(0)}, at::kLong);
  std::vector<double> below(vocabulary);  // unnormalised cumulative probability
  for (size_t r = 0; r < live.size(); ++r) {
    const float* logits = wide_RV.const_data_ptr<float>() + r * vocabulary;
    const double highest = *std::max_element(logits, logits + vocabulary);
    double sum = 0;
    for (int64_t v = 0; v < vocabulary; ++v) {
      sum += std::exp((static_cast<double>(logits[v]) - highest) / temperature);
      below[v] = sum;
    }
    const auto hit = std::upper_bound(below.begin(), below.end() - 1, streams[live[r]].uniform() * sum);
    ids_R.mutable_data_ptr<int64_t>()[r] = hit - below.begin();
  }
  return ids_R.to(logits_RV.device());
}

/// The likeliest id of each row, the first of equal ones; on the CPU in a fifth of the time of libtorch's arg-max.
at::Tensor likeliest(const at::Tensor& logits_RV) {
  if (!takesCpuKernels(logits_RV.device()) || logits_RV.scalar_type() != at::kFloat)
    return logits_RV.argmax(1);
  const at::Tensor ids_R = at::empty({logits_RV.size(0)}, logits_RV.options().dtype(at::kLong));
  if (!holdsData(logits_RV)) return ids_R;
  const at::Tensor rows_RV = logits_RV.contiguous();
  const int64_t vocabulary = rows_RV.size(1);
  const float* logits = rows_RV.const_data_ptr<float>();
  int64_t* ids = ids_R.mutable_data_ptr<int64_t>();
  at::parallel_for(0, rows_RV.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) ids[r] = largestOf(logits + r * vocabulary, vocabulary).place;
  });
  return ids_R;
}

}  // namespace

TokenRows generateTokens(const Architecture& architecture, const Weights& weights, const Encoded& encoded,
                         const Prompt& prompt, const GenerateOptions& options, JobContext& context) {
  const at::NoGradGuard frozen;
  context.checkCancelled();
  const std::unique_ptr<DecodeState> state = architecture.startDecode(weights, encoded, prompt);
  return generateTokens(architecture, *state, encoded.source, options, context);
}

TokenRows generateTokens(const Architecture& architecture, DecodeState& state, const TokenBatch& source,
                         const GenerateOptions& options, JobContext& context) {
  const at::NoGradGuard frozen;
  std::vector<std::vector<int32_t>> answers(source.rows());
  std::vector<int64_t> live(source.rows());
  std::iota(live.begin(), live.end(), 0);

  const AnswerKind kind = architecture.answerKind();
  // Nobody knows where a planned device would stop: it goes on to the end.
  const bool stops = options.stopAtEnd && kind == AnswerKind::Text && holdsData(source.ids_BS);
  const int64_t most = kind == AnswerKind::Label ? 1 : options.maxNewTokens;
  const bool samples = options.sample.has_value() && kind != AnswerKind::Label;
  std::vector<Random> streams;
  if (samples) streams = streamsOf(source, options.sample->seed);
  at::Tensor ids_R;
  for (int64_t t = 0; t < most && !live.empty(); ++t) {
    context.checkCancelled();
    const at::Tensor logits_RV = t == 0 ? state.first() : state.next(ids_R);
    ids_R = samples ? draw(logits_RV, options.sample->temperature, live, streams) : likeliest(logits_RV);
    const at::Tensor next_R = ids_R.to(at::kCPU).contiguous();
    const int64_t* next = next_R.const_data_ptr<int64_t>();
    std::vector<int64_t> kept;
    std::vector<int64_t> stillLive;
    for (size_t r = 0; r < live.size(); ++r) {
      answers[live[r]].push_back(static_cast<int32_t>(next[r]));
      if (stops && next[r] == architecture.stopId()) continue;
      kept.push_back(static_cast<int64_t>(r));
      stillLive.push_back(live[r]);
    }
    if (kept.size() < live.size() && !kept.empty()) {
      const at::Tensor kept_R = at::tensor(kept, at::kLong).to(ids_R.device());
      state.keep(kept_R);
      ids_R = ids_R.index_select(0, kept_R);
    }
    live = std::move(stillLive);
  }

  TokenRows out;
  for (const std::vector<int32_t>& answer : answers) {
    out.ids.insert(out.ids.end(), answer.begin(), answer.end());
    out.lengths.push_back(static_cast<int32_t>(answer.size()));
  }
  return out;
}

}  // namespace seprog
