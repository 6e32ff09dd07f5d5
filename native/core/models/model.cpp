#include "model.h"

#include <ATen/TensorIndexing.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/div.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "../error.h"
#include "../instrument/memory_role.h"
#include "../layers/linear.h"

namespace seprog {

Encoded Encoded::select(const at::Tensor& rows_R) const {
  return Encoded{source.select(rows_R), h_BSD.defined() ? h_BSD.index_select(0, rows_R) : h_BSD};
}

at::Tensor pool(const at::Tensor& h_BSD, const TokenBatch& tokens, Pooling pooling) {
  if (pooling == Pooling::First) return h_BSD.select(1, 0);
  std::vector<int64_t> counts(tokens.lengths);
  for (int64_t& count : counts) count = std::max<int64_t>(count, 1);
  const at::Tensor length_B = at::tensor(counts, at::kLong).to(h_BSD.device());
  if (pooling == Pooling::Last) {
    const at::Tensor row_B = at::arange(h_BSD.size(0), length_B.options());
    return h_BSD.index({row_B, length_B - 1});
  }
  if (tokens.fullyReal) return h_BSD.mean(1);
  const at::Tensor mask_BS1 = tokens.mask_BS.unsqueeze(2).to(h_BSD.scalar_type());
  return (h_BSD * mask_BS1).sum(1) / length_B.unsqueeze(1).to(h_BSD.scalar_type());
}

namespace {

Targets withIndices(TokenBatch tokens) {
  const RoleScope role(MemoryRole::Other);
  std::vector<int64_t> flatRows;
  std::vector<int64_t> rowOf;
  const int64_t columns = tokens.columns();
  for (int64_t b = 0; b < tokens.rows(); ++b) {
    for (int64_t t = 0; t < tokens.lengths[b]; ++t) {
      flatRows.push_back(b * columns + t);
      rowOf.push_back(b);
    }
  }
  const at::Device device = tokens.ids_BS.device();
  Targets targets;
  targets.flatRows_N = at::tensor(flatRows, at::kLong).to(device);
  targets.rowOf_N = at::tensor(rowOf, at::kLong).to(device);
  targets.labels_N = tokens.ids_BS.reshape({-1}).index_select(0, targets.flatRows_N);
  targets.tokens = std::move(tokens);
  return targets;
}

}  // namespace

Targets makeTargets(const TokenRows& target, int64_t padId, int64_t vocabulary, const at::Device& device) {
  return withIndices(pad(target, padId, vocabulary, device));
}

Targets targetsFor(const Architecture& family, const TokenRows& target, const at::Device& device) {
  if (family.answerKind() == AnswerKind::Label) {
    for (size_t b = 0; b < target.lengths.size(); ++b) {
      if (target.lengths[b] == 1) continue;
      fail(ErrorCode::DataInvalid, "expected exactly one class id for `target` row " + std::to_string(b) +
                                       " but received " + std::to_string(target.lengths[b]));
    }
    return makeTargets(target, 0, family.targetVocabulary(), device);
  }
  return makeTargets(target, family.padId(), family.targetVocabulary(), device);
}

Targets Targets::select(const at::Tensor& rows_R) const { return withIndices(tokens.select(rows_R)); }

std::shared_ptr<const Architecture> Architecture::withPadToken(TensorTable&) const { return nullptr; }

Narrowing Architecture::narrowing(std::string_view name, BaseDtype) const {
  for (const std::string_view part : {"position", "token_type", "_bias"}) {
    if (name.find(part) != std::string_view::npos) return Narrowing::None;
  }
  return name == "classifier.weight" ? Narrowing::None : Narrowing::OutputsAreRows;
}

Encoded Architecture::encodeForAnswers(const Weights& weights, const TokenBatch& source) const {
  return answersFromStates() ? encode(weights, source) : Encoded{source, {}};
}

at::Tensor Architecture::targetLogits(const Weights& weights, const Encoded& encoded, const Targets& targets,
                                      const Prompt& prompt, Taps* taps) const {
  return applyHead(head(weights), targetStates(weights, encoded, targets, prompt, taps));
}

void Architecture::keepKnown(TensorTable& table, const std::set<std::string_view>& optional) const {
  std::set<std::string> known(optional.begin(), optional.end());
  for (auto& [name, shape] : expectedWeights()) known.insert(std::move(name));
  std::erase_if(table, [&](const auto& item) { return known.count(item.first) == 0; });
}

}  // namespace seprog
