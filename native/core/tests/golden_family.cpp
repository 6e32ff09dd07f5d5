// Kinds `family` (encoder, teacher forcing, gradients, greedy decoding, KL to an edited copy) and `prefix`.
#include <ATen/TensorOperators.h>
#include <torch/csrc/autograd/autograd.h>

#include "../decode/generate.h"
#include "../editors/editor.h"
#include "../layers/relative_bias.h"
#include "../train/losses.h"
#include "golden.h"

namespace seprog {
namespace {

void expectGeneration(Golden& golden, const std::string& prefix, const TokenRows& got, int64_t maxNewTokens,
                      int64_t padId) {
  golden.expect(prefix + "gen", gridOf(got, maxNewTokens, padId));
  golden.expect(prefix + "gen_len",
                at::tensor(std::vector<int64_t>(got.lengths.begin(), got.lengths.end()), at::kLong));
}

at::Tensor classesOf(const TokenRows& answers) {
  return at::tensor(std::vector<int64_t>(answers.ids.begin(), answers.ids.end()), at::kLong);
}

struct Case {
  Case(const Golden& golden, const std::string& folder)
      : model(std::make_shared<Model>(loadModel(golden.folder() + "/" + folder, at::kCPU))),
        batch{sourceRows(golden, "src", "types"), targetRows(golden)},
        source(pad(batch.source, family().padId(), family().vocabulary(), at::kCPU)),
        targets(targetsFor(family(), batch.target, at::kCPU)) {}

  const Architecture& family() const { return *model->architecture; }

  std::shared_ptr<Model> model;
  PairRows batch;
  TokenBatch source;
  Targets targets;
};

void checkModel(Golden& golden, const std::string& folder) {
  const Case test(golden, folder);
  const Architecture& family = test.family();

  TensorTable leaves;
  for (const auto& [name, tensor] : test.model->weights.flatten()) {
    leaves[name] = tensor.detach().clone().set_requires_grad(true);
  }
  const Weights learning{TensorTable(leaves)};
  const Encoded encoded = family.encode(learning, test.source);
  golden.expect("enc", encoded.h_BSD);
  const at::Tensor logits_NV = family.targetLogits(learning, encoded, test.targets, {});
  golden.expect("logits", storedLogits(golden, "logits", logits_NV, test.targets));
  const at::Tensor nll = meanNll(logits_NV, test.targets.labels_N);
  golden.expect("nll", nll);

  if (!golden.namesWith("grad.").empty()) {
    std::vector<std::string> names;
    std::vector<at::Tensor> inputs;
    for (const auto& [name, leaf] : leaves) {
      if (name == "final_logits_bias") continue;  // a constant of the checkpoint
      names.push_back(name);
      inputs.push_back(leaf);
    }
    EXPECT_EQ(names.size(), golden.namesWith("grad.").size());
    const std::vector<at::Tensor> gradients = torch::autograd::grad({nll}, inputs);
    for (size_t i = 0; i < names.size(); ++i) golden.expect("grad." + names[i], gradients[i]);
  }

  const at::NoGradGuard frozen;
  if (golden.has("tf_logprob")) {
    const TokenLosses losses =
        tokenNll(family.targetStates(test.model->weights, family.encode(test.model->weights, test.source),
                                     test.targets, {}),
                 family.head(test.model->weights), test.targets.labels_N);
    golden.expect("tf_logprob", spread(losses.logProb_N, test.targets, 0));
    golden.expect("tf_argmax", spread(losses.argmax_N, test.targets, -100));
  }
  if (golden.has("gen")) {
    const int64_t most = static_cast<int64_t>(golden.settings().find("max_new_tokens")->number());
    JobContext context;
    const GenerateOptions options{most, true};
    expectGeneration(golden, "", baseScorer(test.model)->generate(test.batch.source, options, context).tokens,
                     most, family.padId());
  }
  if (golden.has("pred")) {
    JobContext context;
    golden.expect("pred", classesOf(baseScorer(test.model)->generate(test.batch.source, {}, context).tokens));
  }
  if (golden.has("edited_logits")) {
    TensorTable edited;
    for (const std::string& name : golden.namesWith("edited.")) edited[name.substr(7)] = golden.input(name);
    std::vector<std::string> editable;
    const char* list = golden.settings().find("editable") != nullptr ? "editable" : "perturbed";
    for (const Json& name : golden.settings().find(list)->array()) editable.push_back(name.string());
    EXPECT_EQ(family.editableWeights(), editable);
    auto overlay = std::make_shared<Model>(*test.model);
    overlay->weights = test.model->weights.with(edited);
    JobContext context;
    const std::shared_ptr<Scorer> base = baseScorer(test.model);
    const std::shared_ptr<Scorer> other = baseScorer(overlay);
    golden.expect("edited_logits", storedLogits(golden, "edited_logits",
                                                other->targetLogits(test.batch, context), test.targets));
    const std::vector<float> kl = compareScorers(*base, *other, test.batch, {}, context);
    golden.expect("kl", at::tensor(kl).mean());
    if (golden.has("kl_full")) {
      // The whole answer as decoder input: one row more, behind the stop token, whose label plays no part.
      PairRows full{test.batch.source, {}};
      size_t next = 0;
      for (const int32_t length : test.batch.target.lengths) {
        for (int32_t t = 0; t < length; ++t) full.target.ids.push_back(test.batch.target.ids[next++]);
        full.target.ids.push_back(static_cast<int32_t>(family.padId()));
        full.target.lengths.push_back(length + 1);
      }
      golden.expect("kl_full", at::tensor(compareScorers(*base, *other, full, {}, context)).mean());
    }
  }
}

void checkBuckets(Golden& golden) {
  const at::Tensor r = golden.input("bucket_r");
  at::Tensor encoder = at::empty_like(r);
  at::Tensor decoder = at::empty_like(r);
  for (int64_t i = 0; i < r.numel(); ++i) {
    encoder[i] = relativeBucket({32, 128, true}, r[i].item<int64_t>());
    decoder[i] = relativeBucket({32, 128, false}, r[i].item<int64_t>());
  }
  golden.expect("bucket_r", r);
  golden.expect("bucket_enc", encoder);
  golden.expect("bucket_dec", decoder);
}

}  // namespace

void checkFamily(Golden& golden) {
  for (const std::string& folder : golden.models()) checkModel(golden, folder);
  if (golden.has("bucket_r")) checkBuckets(golden);
}

void checkPrefix(Golden& golden) {
  const Case test(golden, "model");
  const Architecture& family = test.family();
  const Weights& weights = test.model->weights;
  const Encoded encoded = family.encode(weights, test.source);
  for (const auto& [mode, positions] :
       {std::pair{"concat.", PromptPositions::Concat}, std::pair{"keep.", PromptPositions::Keep}}) {
    const std::string prefix = mode;
    if (!golden.has(prefix + "logits")) continue;
    const at::Tensor pr_BPD = golden.input("pr").clone().set_requires_grad(true);
    const Prompt prompt(pr_BPD, positions);
    const at::Tensor logits_NV = family.targetLogits(weights, encoded, test.targets, prompt);
    golden.expect(prefix + "logits", storedLogits(golden, prefix + "logits", logits_NV, test.targets));
    const at::Tensor nll = meanNll(logits_NV, test.targets.labels_N);
    golden.expect(prefix + "nll", nll);
    golden.expect(prefix + "grad_pr", torch::autograd::grad({nll}, {pr_BPD})[0]);

    const at::NoGradGuard frozen;
    JobContext context;
    if (golden.has(prefix + "pred")) {
      golden.expect(prefix + "pred",
                    classesOf(generateTokens(family, weights, encoded, prompt, {}, context)));
      continue;
    }
    const TokenLosses losses = tokenNll(family.targetStates(weights, encoded, test.targets, prompt),
                                        family.head(weights), test.targets.labels_N);
    golden.expect(prefix + "tf_logprob", spread(losses.logProb_N, test.targets, 0));
    golden.expect(prefix + "tf_argmax", spread(losses.argmax_N, test.targets, -100));
    const int64_t most = static_cast<int64_t>(golden.settings().find("max_new_tokens")->number());
    expectGeneration(golden, prefix, generateTokens(family, weights, encoded, prompt, {most, true}, context),
                     most, family.padId());
  }
}

}  // namespace seprog
