// Kinds `family` and `prefix` of models whose answer goes on where the source ends: cases hold whole rows
// `ids` with `labels` beside them, and the sources alone as `prefix`.
#include <ATen/TensorOperators.h>
#include <torch/csrc/autograd/autograd.h>

#include "../decode/generate.h"
#include "../editors/editor.h"
#include "../train/losses.h"
#include "golden.h"

namespace seprog {
namespace {

/// Every token but the first of a row as target, and one more: the logits of all positions of the row.
PairRows wholeRows(const Golden& golden, int64_t padId) {
  const TokenRows rows = rowsOf(golden.input("ids"), golden.input("mask"));
  PairRows pairs;
  size_t next = 0;
  for (const int32_t length : rows.lengths) {
    pairs.source.ids.push_back(rows.ids[next]);
    pairs.source.lengths.push_back(1);
    for (int32_t t = 1; t < length; ++t) pairs.target.ids.push_back(rows.ids[next + t]);
    pairs.target.ids.push_back(static_cast<int32_t>(padId));
    pairs.target.lengths.push_back(length);
    next += length;
  }
  return pairs;
}

struct Case {
  Case(const Golden& golden, const std::string& folder)
      : model(std::make_shared<Model>(loadModel(golden.folder() + "/" + folder, at::kCPU))),
        labels_BT(golden.input("labels")),
        answers{rowsOf(golden.input("prefix"), golden.input("prefix_mask")), rowsOfLabels(labels_BT)},
        whole(wholeRows(golden, family().padId())) {}

  const Architecture& family() const { return *model->architecture; }
  TokenBatch source(const PairRows& pairs) const {
    return pad(pairs.source, family().padId(), family().vocabulary(), at::kCPU);
  }
  Targets targets(const PairRows& pairs) const { return targetsFor(family(), pairs.target, at::kCPU); }
  at::Tensor logits(const Weights& weights, const PairRows& pairs, const Prompt& prompt) const {
    return family().targetLogits(weights, Encoded{source(pairs), {}}, targets(pairs), prompt);
  }
  /// The logits of all positions, on the grid of the case.
  at::Tensor grid(const at::Tensor& logits_NV) const { return spread(logits_NV, targets(whole), 0); }

  void expectScores(Golden& golden, const std::string& prefix, const Prompt& prompt) const {
    const at::NoGradGuard frozen;
    const Targets wanted = targets(answers);
    const TokenLosses losses =
        tokenNll(family().targetStates(model->weights, Encoded{source(answers), {}}, wanted, prompt),
                 family().head(model->weights), wanted.labels_N);
    golden.expect(prefix + "tf_logprob", atLabels(labels_BT, losses.logProb_N, 0, 0));
    golden.expect(prefix + "tf_argmax", atLabels(labels_BT, losses.argmax_N, 0, -100));
    const int64_t most = static_cast<int64_t>(golden.settings().find("max_new_tokens")->number());
    JobContext context;
    const TokenRows answer =
        generateTokens(family(), model->weights, Encoded{source(answers), {}}, prompt, {most, true}, context);
    golden.expect(prefix + "gen", gridOf(answer, most, family().padId()));
  }

  std::shared_ptr<Model> model;
  at::Tensor labels_BT;
  PairRows answers;  // sources and their target tokens
  PairRows whole;
};

void checkModel(Golden& golden, const std::string& folder) {
  const Case test(golden, folder);
  const Architecture& family = test.family();
  EXPECT_EQ(family.padId(), static_cast<int64_t>(golden.settings().find("pad")->number()));

  std::vector<std::string> names;
  std::vector<at::Tensor> leaves;
  TensorTable table;
  for (const auto& [name, tensor] : test.model->weights.flatten()) {
    names.push_back(name);
    leaves.push_back(tensor.detach().clone().set_requires_grad(true));
    table[name] = leaves.back();
  }
  const Weights learning{std::move(table)};
  const TokenBatch rows =
      pad(rowsOf(golden.input("ids"), golden.input("mask")), family.padId(), family.vocabulary(), at::kCPU);
  golden.expect("enc", family.encode(learning, rows).h_BSD);
  golden.expect("logits", test.grid(test.logits(learning, test.whole, {})));
  const at::Tensor nll =
      meanNll(test.logits(learning, test.answers, {}), test.targets(test.answers).labels_N);
  golden.expect("nll", nll);
  EXPECT_EQ(names.size(), golden.namesWith("grad.").size());
  const std::vector<at::Tensor> gradients = torch::autograd::grad({nll}, leaves);
  for (size_t i = 0; i < names.size(); ++i) golden.expect("grad." + names[i], gradients[i]);
  test.expectScores(golden, "", {});

  TensorTable edited;
  for (const std::string& name : golden.namesWith("edited.")) edited[name.substr(7)] = golden.input(name);
  std::vector<std::string> editable;
  for (const Json& name : golden.settings().find("editable")->array()) editable.push_back(name.string());
  EXPECT_EQ(family.editableWeights(), editable);
  auto overlay = std::make_shared<Model>(*test.model);
  overlay->weights = test.model->weights.with(edited);
  JobContext context;
  const std::shared_ptr<Scorer> base = baseScorer(test.model);
  const std::shared_ptr<Scorer> other = baseScorer(overlay);
  golden.expect("edited_logits", test.grid(other->targetLogits(test.whole, {}, context)));
  golden.expect("kl", at::tensor(compareScorers(*base, *other, test.whole, {}, context)).mean());
}

}  // namespace

void checkContinuationFamily(Golden& golden) {
  for (const std::string& folder : golden.models()) checkModel(golden, folder);
}

void checkContinuationPrefix(Golden& golden) {
  const Case test(golden, "model");
  const Weights& weights = test.model->weights;
  for (const auto& [mode, positions] :
       {std::pair{"concat.", PromptPositions::Concat}, std::pair{"keep.", PromptPositions::Keep}}) {
    const std::string prefix = mode;
    const at::Tensor pr_BPD = golden.input("pr").clone().set_requires_grad(true);
    const Prompt prompt(pr_BPD, positions);
    golden.expect(prefix + "logits", test.grid(test.logits(weights, test.whole, prompt)));
    const at::Tensor nll =
        meanNll(test.logits(weights, test.answers, prompt), test.targets(test.answers).labels_N);
    golden.expect(prefix + "nll", nll);
    golden.expect(prefix + "grad_pr", torch::autograd::grad({nll}, {pr_BPD})[0]);
    test.expectScores(golden, prefix, prompt);
  }
}

}  // namespace seprog
