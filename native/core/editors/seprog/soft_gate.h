// The soft gate (ablations.md section 5, ours): p = e·p_prompted + (1−e)·p_plain for every token, in log space.
// R live rows, N target tokens, V vocabulary or classes.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "../editor.h"

namespace seprog {

/// ln p of the mixture from two sides' logits, [N, V]; logit_N is ℓ of the token's row, e = σ(ℓ).
at::Tensor mixLogProb(const at::Tensor& prompted_NV, const at::Tensor& plain_NV, const at::Tensor& logit_N);

/// Scores the tokens of `targets` under the mixture of what two heads say, token n standing at place places_N[n] of the
/// batch. The logits pass in blocks of tokens.
void scoreMixed(const Head& promptedHead, const at::Tensor& prompted_ND, const Head& plainHead,
                const at::Tensor& plain_ND, const at::Tensor& logit_N, const Targets& targets,
                const std::vector<int64_t>& places_N, TokenScores& scores);

/// Decodes both sides in lockstep: each consumes the tokens of the mixture.
std::unique_ptr<DecodeState> mixDecoding(std::unique_ptr<DecodeState> prompted,
                                         std::unique_ptr<DecodeState> plain, at::Tensor logit_R);

}  // namespace seprog
