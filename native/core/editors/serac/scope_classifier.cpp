#include "scope_classifier.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/expm1.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <limits>

#include "../../error.h"
#include "../../layers/linear.h"

namespace seprog {
namespace {

// Differences of embeddings that exist at a time, 4 MiB of floats.
constexpr int64_t kDifferenceElements = 1 << 20;

TokenBatch padded(const Model& classifier, const TokenRows& texts) {
  return pad(texts, classifier.architecture->padId(), classifier.architecture->vocabulary(),
             classifier.device);
}

/// Appends `count` values that begin at `first`.
void append(std::vector<int32_t>& out, const std::vector<int32_t>& values, int64_t first, int64_t count) {
  if (!values.empty()) out.insert(out.end(), values.begin() + first, values.begin() + first + count);
}

std::vector<int64_t> startsOf(const TokenRows& rows) {
  std::vector<int64_t> starts{0};
  for (const int32_t length : rows.lengths) starts.push_back(starts.back() + length);
  return starts;
}

}  // namespace

at::Tensor embedRows(const Model& classifier, const TokenRows& texts) {
  return classifier.architecture->encode(classifier.weights, padded(classifier, texts)).h_BSD.select(1, 0);
}

at::Tensor embedTexts(const Model& classifier, const TokenRows& texts, int64_t chunkRows,
                      JobContext& context) {
  const at::NoGradGuard noGrad;
  std::vector<at::Tensor> chunks;
  for (int64_t first = 0; first < texts.rows(); first += chunkRows) {
    context.checkCancelled();
    chunks.push_back(embedRows(classifier, slice(texts, first, std::min(chunkRows, texts.rows() - first))));
  }
  return at::cat(chunks);
}

at::Tensor logSimilarity(const at::Tensor& v_ND, const at::Tensor& z_ND) {
  return (v_ND - z_ND).pow(2).sum(1).neg();
}

at::Tensor logSimilarities(const at::Tensor& v_BD, const at::Tensor& z_KD) {
  const int64_t rows = std::max<int64_t>(1, kDifferenceElements / std::max<int64_t>(1, z_KD.numel()));
  std::vector<at::Tensor> chunks;
  for (int64_t first = 0; first < v_BD.size(0); first += rows) {
    const at::Tensor v_R1D = v_BD.narrow(0, first, std::min(rows, v_BD.size(0) - first)).unsqueeze(1);
    chunks.push_back((v_R1D - z_KD.unsqueeze(0)).pow(2).sum(2).neg());
  }
  return at::cat(chunks);
}

TokenRows joinRows(const TokenRows& left, const std::vector<int64_t>& leftRows, const TokenRows& right,
                   const std::vector<int64_t>& rightRows, const Seam& seam) {
  const std::vector<int64_t> leftStart = startsOf(left), rightStart = startsOf(right);
  TokenRows joined;
  for (size_t n = 0; n < leftRows.size(); ++n) {
    const int64_t l = leftRows[n], r = rightRows[n];
    const int64_t from = std::min<int64_t>(seam.skipped, right.lengths[r]);
    append(joined.ids, left.ids, leftStart[l], left.lengths[l]);
    if (seam.id) joined.ids.push_back(*seam.id);
    append(joined.ids, right.ids, rightStart[r] + from, right.lengths[r] - from);
    joined.lengths.push_back(left.lengths[l] + right.lengths[r] - static_cast<int32_t>(from) +
                             (seam.id ? 1 : 0));
  }
  return joined;
}

TokenRows behindEdits(const Architecture& counterfactual, const TokenRows& editPrefix,
                      const std::vector<int64_t>& edits, const TokenRows& inputs,
                      const std::vector<int64_t>& rows) {
  Seam seam;
  if (counterfactual.answerKind() == AnswerKind::Continuation)
    seam.id = static_cast<int32_t>(counterfactual.stopId());
  return joinRows(editPrefix, edits, inputs, rows, seam);
}

TokenRows pairTexts(const TokenRows& editTexts, const std::vector<int64_t>& edits, const TokenRows& inputs,
                    const std::vector<int64_t>& rows) {
  return joinRows(editTexts, edits, inputs, rows, {.skipped = 1});
}

at::Tensor pairLogSimilarity(const Model& classifier, const TokenRows& pairs) {
  // A class label is one target token: any will do, for all classes are asked.
  const Architecture& family = *classifier.architecture;
  const TokenRows label{std::vector<int32_t>(pairs.rows(), 0), std::vector<int32_t>(pairs.rows(), 1)};
  const at::Tensor logits_N2 =
      family.targetLogits(classifier.weights, family.encode(classifier.weights, padded(classifier, pairs)),
                          targetsFor(family, label, classifier.device), {});
  return at::log_softmax(logits_N2, 1).select(1, 0);
}

at::Tensor pairLogSimilarities(const Model& classifier, const TokenRows& editTexts, const TokenRows& inputs,
                               int64_t chunkRows, JobContext& context) {
  const at::NoGradGuard noGrad;
  const int64_t B = inputs.rows(), K = editTexts.rows();
  std::vector<at::Tensor> chunks;
  for (int64_t first = 0; first < B * K; first += chunkRows) {
    context.checkCancelled();
    std::vector<int64_t> edits, rows;
    for (int64_t n = first; n < std::min(first + chunkRows, B * K); ++n) {
      rows.push_back(n / K);
      edits.push_back(n % K);
    }
    chunks.push_back(pairLogSimilarity(classifier, pairTexts(editTexts, edits, inputs, rows)));
  }
  return at::cat(chunks).view({B, K});
}

at::Tensor logComplement(const at::Tensor& logS_N) {
  const at::Tensor rest_N = at::expm1(logS_N).neg();
  return at::where(rest_N.eq(0), rest_N + std::numeric_limits<float>::epsilon(), rest_N).log();
}

}  // namespace seprog
