// N target tokens of a chunk, G its rows.
#include "edit_loss.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>

#include <algorithm>

#include "../error.h"
#include "leaf_gradients.h"
#include "losses.h"

namespace seprog {

EditLoss editLoss(const Model& model, const TensorTable& leaves, const PairRows& edits,
                  const PromptOf& promptOf, bool withGradients, JobContext& context, int64_t chunkRows) {
  if (edits.target.ids.empty()) {
    fail(ErrorCode::DataInvalid, "expected at least one target token for `edits.target` but received none");
  }
  const Architecture& family = *model.architecture;
  const double perToken = 1.0 / static_cast<double>(edits.target.ids.size());
  at::AutoGradMode graph(withGradients);
  EditLoss result;
  int64_t rightRows = 0;
  for (int64_t first = 0; first < edits.rows(); first += chunkRows) {
    context.checkCancelled();
    const int64_t count = std::min(chunkRows, edits.rows() - first);
    const TokenBatch source =
        pad(slice(edits.source, first, count), family.padId(), family.vocabulary(), model.device);
    const Targets targets = targetsFor(family, slice(edits.target, first, count), model.device);
    const Encoded encoded =
        promptOf ? family.encode(model.weights, source) : family.encodeForAnswers(model.weights, source);
    const Head head = family.head(model.weights);
    const at::Tensor states_ND =
        family.targetStates(model.weights, encoded, targets, promptOf ? promptOf(encoded) : Prompt());
    TokenLossGradients token;
    if (withGradients) {
      const at::Tensor weight_N = at::full({states_ND.size(0)}, perToken, states_ND.options());
      token = tokenNllGradients(states_ND, head, targets.labels_N, weight_N, isTrained(head));
      addLeafGradients(leaves, states_ND, head, token, result.gradients);
    } else {
      token.losses = tokenNll(states_ND, head, targets.labels_N);
    }
    result.loss -= token.losses.logProb_N.to(at::kDouble).sum().item<double>() * perToken;
    rightRows += countRightRows(token.losses, targets);
  }
  result.rowAccuracy = static_cast<double>(rightRows) / static_cast<double>(edits.rows());
  return result;
}

}  // namespace seprog
