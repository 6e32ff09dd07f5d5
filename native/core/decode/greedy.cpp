#include "greedy.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/full.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>

#include <numeric>

namespace seprog {

TokenRows generateGreedy(const Architecture& architecture, const Weights& weights, const Encoded& encoded,
                         const Prompt& prompt, const GenerateOptions& options, JobContext& context) {
  const at::NoGradGuard frozen;
  context.checkCancelled();
  const std::unique_ptr<DecodeState> state = architecture.startDecode(weights, encoded, prompt);
  return generateGreedy(architecture, *state, encoded.source.rows(), options, context);
}

TokenRows generateGreedy(const Architecture& architecture, DecodeState& state, int64_t rows,
                         const GenerateOptions& options, JobContext& context) {
  const at::NoGradGuard frozen;
  std::vector<std::vector<int32_t>> answers(rows);
  std::vector<int64_t> live(rows);
  std::iota(live.begin(), live.end(), 0);

  const AnswerKind kind = architecture.answerKind();
  const bool stops = options.stopAtEnd && kind == AnswerKind::Text;
  const int64_t most = kind == AnswerKind::Label ? 1 : options.maxNewTokens;
  at::Tensor ids_R;
  for (int64_t t = 0; t < most && !live.empty(); ++t) {
    context.checkCancelled();
    ids_R = (t == 0 ? state.first() : state.next(ids_R)).argmax(1);
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
