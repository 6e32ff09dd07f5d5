// How similar an input is to an edit, s ∈ [0, 1], in logarithms (serac.md section 2): s itself underflows for texts that
// have nothing in common. B inputs, K edits, N pairs, R rows, D width of the classifier.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "../../engine/job.h"
#include "../../models/model.h"

namespace seprog {

/// v(t), the last state of the first token of a text: [R, D]. Rows pass in chunks; without a graph.
at::Tensor embedTexts(const Model& classifier, const TokenRows& texts, int64_t chunkRows,
                      JobContext& context);
/// The same of a few rows at once, under the caller's grad mode.
at::Tensor embedRows(const Model& classifier, const TokenRows& texts);

/// ln s = −τ‖v(x) − v(z)‖² with τ = 1, of rows that stand beside each other: [N].
at::Tensor logSimilarity(const at::Tensor& v_ND, const at::Tensor& z_ND);
/// The same of every input and every edit: [B, K].
at::Tensor logSimilarities(const at::Tensor& v_BD, const at::Tensor& z_KD);

/// What becomes of the seam of two joined rows.
struct Seam {
  int64_t skipped = 0;             // first ids of the right row that are left out
  std::optional<int32_t> id = {};  // put in between
};
/// Row leftRows[n] of `left` followed by row rightRows[n] of `right`.
TokenRows joinRows(const TokenRows& left, const std::vector<int64_t>& leftRows, const TokenRows& right,
                   const std::vector<int64_t>& rightRows, const Seam& seam = {});

/// Inputs behind edits as the counterfactual model reads them, `x_e y_e x'`; what goes on with a text has the end of text
/// in between (serac.md section 1).
TokenRows behindEdits(const Architecture& counterfactual, const TokenRows& editPrefix,
                      const std::vector<int64_t>& edits, const TokenRows& inputs,
                      const std::vector<int64_t>& rows);

/// Pairs of an edit and an input as one text each: `z x`, where [CLS] of the input is left out.
TokenRows pairTexts(const TokenRows& editTexts, const std::vector<int64_t>& edits, const TokenRows& inputs,
                    const std::vector<int64_t>& rows);
/// ln s = ln p(class 0) of pairs read as one text, under the caller's grad mode: [N].
at::Tensor pairLogSimilarity(const Model& classifier, const TokenRows& pairs);
/// ln s of every input and every edit: [B, K]. Pairs pass in chunks; without a graph.
at::Tensor pairLogSimilarities(const Model& classifier, const TokenRows& editTexts, const TokenRows& inputs,
                               int64_t chunkRows, JobContext& context);

/// ln(1 − s); where 1 − s is nothing it counts as the spacing of floats at 1.
at::Tensor logComplement(const at::Tensor& logS_N);

}  // namespace seprog
