#include "edit_factors.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/nonzero.h>

#include <algorithm>
#include <cstddef>

#include "../../error.h"
#include "../../plan/planned_device.h"
#include "../../tensor/narrow.h"
#include "../../train/backward.h"
#include "../../train/losses.h"

namespace seprog {
namespace {

/// Names of the matrices behind a classifier's last attention: only the positions that are read have a gradient there.
std::vector<std::string> behindLastAttention(const Architecture& family) {
  if (family.answerKind() != AnswerKind::Label) return {};
  constexpr size_t kPerBlock = 2;
  const std::vector<std::string> names = family.editableWeights();
  return {names.end() - static_cast<std::ptrdiff_t>(std::min(kPerBlock, names.size())), names.end()};
}

/// `mostRows` may have a gradient: what a planned device, which holds no gradients, goes by.
Factors keptRows(const at::Tensor& u_NI, const at::Tensor& delta_NO, int64_t mostRows) {
  at::Tensor kept = u_NI.ne(0).any(1).logical_and_(delta_NO.ne(0).any(1)).nonzero().squeeze(1);
  if (!holdsData(kept)) kept = kept.narrow(0, 0, std::min(mostRows, kept.size(0)));
  if (kept.size(0) == u_NI.size(0)) return {u_NI, delta_NO};
  return {u_NI.index_select(0, kept), delta_NO.index_select(0, kept)};
}

}  // namespace

ChunkFactors editFactors(const Model& model, const MendModules& modules, const PairRows& edits, int64_t first,
                         int64_t count) {
  if (edits.target.ids.empty()) {
    fail(ErrorCode::DataInvalid, "expected at least one target token for `edits.target` but received none");
  }
  at::AutoGradMode graph(true);
  const Architecture& family = *model.architecture;
  const std::vector<EditedMatrix>& matrices = modules.matrices();
  // As leaves the edited matrices make their outputs part of a graph; their own gradients are never asked for.
  TensorTable leaves;
  Taps taps;
  for (const EditedMatrix& matrix : matrices) {
    leaves.emplace(matrix.name, inFp32(model.weights.at(matrix.name)).detach().set_requires_grad(true));
    taps.wanted.emplace(matrix.name, Taps::Record());
  }
  const Weights weights = model.weights.with(std::move(leaves));
  const TokenBatch source =
      pad(slice(edits.source, first, count), family.padId(), family.vocabulary(), model.device);
  const Targets targets = targetsFor(family, slice(edits.target, first, count), model.device);
  const Encoded encoded =
      family.answersFromStates() ? family.encode(weights, source, &taps) : Encoded{source, {}};
  const at::Tensor states_TD = family.targetStates(weights, encoded, targets, {}, &taps);

  const double perToken = 1.0 / static_cast<double>(edits.target.ids.size());
  const at::Tensor weight_T =
      at::full({states_TD.size(0)}, modules.spec().reduction == EditReduction::Mean ? perToken : 1.0,
               states_TD.options().requires_grad(false));
  const TokenLossGradients token =
      tokenNllGradients(states_TD, family.head(weights), targets.labels_N, weight_T, false);
  std::vector<at::Tensor> outputs;
  for (const EditedMatrix& matrix : matrices) outputs.push_back(taps.wanted.at(matrix.name).output);
  const std::vector<at::Tensor> deltas =
      gradientsFor({states_TD}, outputs, {token.h_ND}, {.allowUnused = false});

  at::NoGradGuard noGrad;
  ChunkFactors chunk;
  chunk.loss = -token.losses.logProb_N.to(at::kDouble).sum().item<double>() * perToken;
  const std::vector<std::string> last = behindLastAttention(family);
  for (size_t i = 0; i < matrices.size(); ++i) {
    const at::Tensor u_NI = taps.wanted.at(matrices[i].name).input.detach();
    const bool fewRows = std::find(last.begin(), last.end(), matrices[i].name) != last.end();
    chunk.byMatrix.push_back(keptRows(u_NI, deltas[i], fewRows ? states_TD.size(0) : u_NI.size(0)));
  }
  return chunk;
}

}  // namespace seprog
