#include "classifier.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <string>

#include "../error.h"
#include "../layers/attention.h"
#include "config_fields.h"

namespace seprog {

int64_t logitsFrom(Options& options, int64_t usual) {
  int64_t named = usual;
  if (options.has("id2label")) {
    const Json& names = options.raw("id2label");
    if (!names.isObject() || names.object().empty()) {
      fail(ErrorCode::ConfigInvalid,
           "expected an object of class names for `config.id2label` but received " + names.dump());
    }
    named = static_cast<int64_t>(names.object().size());
  }
  return integerFrom(options, "num_labels", 1, named);
}

SpecialIds specialsFrom(Options& options, int64_t vocabulary, int64_t padId) {
  constexpr int64_t kHubSpecials = 104;  // [PAD] 0, unused ids, [UNK] 100, [CLS] 101, [SEP] 102, [MASK] 103
  const bool hub = vocabulary > kHubSpecials;
  return {tokenFrom(options, "cls_token_id", vocabulary, hub ? 101 : padId),
          tokenFrom(options, "sep_token_id", vocabulary, hub ? 102 : padId)};
}

void demandHead(const Weights& weights) {
  if (weights.find("classifier.weight") != nullptr) return;
  fail(ErrorCode::WeightMissing,
       "expected a tensor for `classifier.weight` but received an encoder without a classification head; "
       "name a checkpoint that was fine-tuned to the task, or use this one as edit encoder");
}

Head classHead(const Weights& weights) {
  demandHead(weights);
  const at::Tensor& weight_CD = weights.at("classifier.weight");
  const at::Tensor& bias_C = weights.at("classifier.bias");
  if (weight_CD.size(0) != 1) return {weight_CD, 1, bias_C};
  const auto zeroBefore = [](const at::Tensor& single) {
    return at::cat({at::zeros(single.sizes(), single.options().requires_grad(false)), single}, 0);
  };
  return {zeroBefore(weight_CD), 1, zeroBefore(bias_C)};
}

void demandFirstTokens(const TokenBatch& source) {
  const auto empty = std::find(source.lengths.begin(), source.lengths.end(), 0);
  if (empty == source.lengths.end()) return;
  fail(ErrorCode::DataInvalid, "expected at least the token [CLS] for `source` row " +
                                   std::to_string(empty - source.lengths.begin()) + " but received none");
}

void demandPositions(int64_t needed, int64_t available) {
  if (needed <= available) return;
  fail(ErrorCode::DataInvalid,
       "expected at most " + std::to_string(available) +
           " positions (`config.max_position_embeddings`) for prompt and source together but received " +
           std::to_string(needed) + "; shorten the texts or the prompt");
}

PromptedRows promptedRows(const TokenBatch& source, int64_t prompts) {
  std::vector<int64_t> lengths;
  std::vector<int64_t> first;
  int64_t start = 0;
  for (const int64_t length : source.lengths) {
    lengths.push_back(prompts + length);
    first.push_back(start + prompts);
    start += prompts + length;
  }
  const at::Device device = source.ids_BS.device();
  at::Tensor mask;
  if (!source.fullyReal) {
    const at::Tensor visible_BP = at::ones({source.rows(), prompts}, source.mask_BS.options());
    mask = keyMask(at::cat({visible_BP, source.mask_BS}, 1));
  }
  return {RaggedLayout(lengths, prompts + source.columns(), device), mask,
          at::tensor(first, at::kLong).to(device)};
}

namespace {

class ClassState final : public DecodeState {
 public:
  explicit ClassState(at::Tensor logits_BC) : logits_BC_(std::move(logits_BC)) {}
  at::Tensor first() override { return logits_BC_; }
  at::Tensor next(const at::Tensor&) override {
    fail(ErrorCode::Internal, "expected one class id an answer but received a call for a further token");
  }
  void keep(const at::Tensor& rows_R) override { logits_BC_ = logits_BC_.index_select(0, rows_R); }

 private:
  at::Tensor logits_BC_;
};

}  // namespace

std::unique_ptr<DecodeState> classState(at::Tensor logits_BC) {
  return std::make_unique<ClassState>(std::move(logits_BC));
}

}  // namespace seprog
