#include "locality_loss.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>

#include <algorithm>

#include "../error.h"
#include "leaf_gradients.h"
#include "token_kl.h"

namespace seprog {

LocalityLoss localityLoss(const Model& reference, const Model& edited, const TensorTable& leaves,
                          const PairRows& rows, bool withGradients, JobContext& context, int64_t chunkRows) {
  if (rows.target.ids.empty()) {
    fail(ErrorCode::DataInvalid,
         "expected at least one target token for `outScope.target` but received none");
  }
  const Architecture& family = *edited.architecture;
  const double perToken = 1.0 / static_cast<double>(rows.target.ids.size());
  LocalityLoss result;
  for (int64_t first = 0; first < rows.rows(); first += chunkRows) {
    context.checkCancelled();
    const int64_t count = std::min(chunkRows, rows.rows() - first);
    const TokenBatch source =
        pad(slice(rows.source, first, count), family.padId(), family.vocabulary(), edited.device);
    const Targets targets = targetsFor(family, slice(rows.target, first, count), edited.device);
    const auto states = [&](const Model& model) {
      return family.targetStates(model.weights, family.encodeForAnswers(model.weights, source), targets, {});
    };
    at::Tensor p_ND;
    {
      at::NoGradGuard noGrad;
      p_ND = states(reference);
    }
    at::AutoGradMode graph(withGradients);
    const at::Tensor q_ND = states(edited);
    const Head head = family.head(edited.weights);
    const Head referenceHead = family.head(reference.weights);
    at::Tensor kl_N;
    if (withGradients) {
      const at::Tensor weight_N = at::full({q_ND.size(0)}, perToken, q_ND.options());
      TokenKlGradients token = tokenKlGradients(p_ND, referenceHead, q_ND, head, weight_N, isTrained(head));
      addLeafGradients(leaves, q_ND, head, token.gradients, result.gradients);
      kl_N = std::move(token.kl_N);
    } else {
      kl_N = tokenKl(p_ND, referenceHead, q_ND, head);
    }
    result.loss += kl_N.to(at::kDouble).sum().item<double>() * perToken;
  }
  return result;
}

}  // namespace seprog
