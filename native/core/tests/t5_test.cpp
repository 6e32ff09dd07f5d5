// Properties of T5 that neither fixtures show nor invariance_test.cpp: stopping, overlays, second derivatives,
// the encoder alone.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include "core/decode/generate.h"
#include "failure.h"
#include "tiny.h"

namespace seprog {
namespace {

Json gatedConfig() {
  return Json::parse(
      R"({"model_type": "t5", "d_model": 24, "d_kv": 8, "d_ff": 40, "num_heads": 2, "num_layers": 2,
      "vocab_size": 60, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": false})");
}

/// Weights whose answers are not all alike: fresh ones decode one token for ever.
Model lively(const Json& config) {
  const Model model = createModel(config, 5, at::kCPU);
  TensorTable table;
  for (const auto& [name, tensor] : model.weights.flatten()) {
    const bool bias = name.find("relative_attention_bias") != std::string::npos;
    table[name] = tensor * (bias ? 4.0 : name.find("norm") != std::string::npos ? 1.0 : 1.5);
  }
  return {model.architecture, Weights(table)};
}

struct Inputs {
  Inputs(const Model& model, int64_t rows, int64_t prompts) {
    Random random(11);
    source = pad(tiny::rows(random, rows, 2, 7), 0, 60, at::kCPU);
    targetRows = tiny::rows(random, rows, 1, 4);
    targets = makeTargets(targetRows, 0, 60, at::kCPU);
    encoded = model.architecture->encode(model.weights, source);
    if (prompts > 0)
      prompt = random.normalTensor({rows, prompts, model.architecture->embeddingWidth()}, 0, 1);
  }
  TokenBatch source;
  TokenRows targetRows;
  Targets targets;
  Encoded encoded;
  at::Tensor prompt;
};

class EveryT5 : public testing::TestWithParam<bool> {
 protected:
  const Model model = lively(GetParam() ? gatedConfig() : tiny::config());
  const Architecture& family = *model.architecture;
};
INSTANTIATE_TEST_SUITE_P(ReluAndGated, EveryT5, testing::Bool());

TEST_P(EveryT5, FinishedRowsLeaveAndOthersGoOn) {
  const at::NoGradGuard frozen;
  const Inputs inputs(model, 9, 2);
  JobContext context;
  const TokenRows free =
      generateTokens(family, model.weights, inputs.encoded, inputs.prompt, {8, false}, context);
  // A model whose stop token is one that some rows say early and others late or never.
  Json::Object members = family.config().object();
  std::erase_if(members, [](const auto& member) { return member.first == "eos_token_id"; });
  members.emplace_back("eos_token_id", Json(free.ids[2]));
  const auto stopping = makeArchitecture(Json(members));
  const TokenRows stopped =
      generateTokens(*stopping, model.weights, inputs.encoded, inputs.prompt, {8, true}, context);
  size_t at = 0;
  for (int64_t b = 0; b < 9; ++b) {
    const auto begin = free.ids.begin() + b * 8;
    const auto stop = std::find(begin, begin + 8, free.ids[2]);
    const std::vector<int32_t> wanted(begin, stop == begin + 8 ? stop : stop + 1);
    ASSERT_EQ(stopped.lengths[b], static_cast<int32_t>(wanted.size()));
    EXPECT_TRUE(std::equal(wanted.begin(), wanted.end(), stopped.ids.begin() + at));
    at += wanted.size();
  }
  EXPECT_LT(stopped.ids.size(), free.ids.size());
}

TEST_P(EveryT5, DecodingCanBeCancelled) {
  const Inputs inputs(model, 3, 0);
  JobContext context(std::make_shared<std::atomic<bool>>(true));
  expectFailure(ErrorCode::Aborted, "", [&] {
    generateTokens(family, model.weights, inputs.encoded, {}, {6, true}, context);
  });
}

TEST_P(EveryT5, OverlaysCarryGradients) {
  const Inputs inputs(model, 4, 0);
  const std::string name = family.editableWeights().back();
  const at::Tensor delta = at::zeros_like(model.weights.at(name)).set_requires_grad(true);
  const Weights overlay = model.weights.with({{name, model.weights.at(name) + delta}});
  const at::Tensor logits = family.targetLogits(overlay, inputs.encoded, inputs.targets, {});
  EXPECT_TRUE(logits.requires_grad());
  EXPECT_GT(torch::autograd::grad({logits.square().sum()}, {delta})[0].abs().max().item<float>(), 0);
  EXPECT_FALSE(family.targetLogits(model.weights, inputs.encoded, inputs.targets, {}).requires_grad());
}

TEST_P(EveryT5, SourcesOfOneLengthNeedNoMask) {
  TokenRows rows{{}, {}};
  for (int b = 0; b < 3; ++b) {
    for (int s = 0; s < 5; ++s) rows.ids.push_back(3 + b * 5 + s);
    rows.lengths.push_back(5);
  }
  const TokenBatch source = pad(rows, 0, 60, at::kCPU);
  const Targets targets = makeTargets({{7, 8, 1, 9, 1, 4, 5, 1}, {3, 2, 3}}, 0, 60, at::kCPU);
  const at::Tensor prompt =
      Random(2).normalTensor({3, 2, family.embeddingWidth()}, 0, 1).set_requires_grad(true);
  const at::Tensor logits =
      family.targetLogits(model.weights, family.encode(model.weights, source), targets, prompt);
  const at::Tensor gradient = torch::autograd::grad({logits.square().sum()}, {prompt})[0];
  TokenBatch padded = pad({rows.ids, rows.lengths}, 0, 60, at::kCPU);
  padded.ids_BS = at::cat({padded.ids_BS, at::zeros({3, 2}, at::kLong)}, 1);
  padded.mask_BS = at::cat({padded.mask_BS, at::zeros({3, 2}, at::kBool)}, 1);
  padded.fullyReal = false;
  const at::Tensor masked =
      family.targetLogits(model.weights, family.encode(model.weights, padded), targets, prompt);
  EXPECT_TRUE(at::allclose(logits, masked, 1e-4, 1e-4));
  EXPECT_TRUE(
      at::allclose(gradient, torch::autograd::grad({masked.square().sum()}, {prompt})[0], 1e-3, 1e-3));
}

/// d/ds of the first-order gradient along `direction` is the second derivative: compared in fp64.
TEST_P(EveryT5, SecondDerivativesAgreeWithDifferences) {
  TensorTable wide;
  for (const auto& [name, tensor] : model.weights.flatten()) wide[name] = tensor.to(at::kDouble);
  const Weights base{TensorTable(wide)};
  const Inputs inputs(model, 4, 2);
  const at::Tensor prompt = inputs.prompt.to(at::kDouble);
  std::vector<std::string> names = family.editableWeights();
  names.push_back("decoder.block.0.layer.0.SelfAttention.k.weight");
  names.push_back("decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
  names.push_back("decoder.block.1.layer.1.EncDecAttention.q.weight");
  names.push_back("encoder.block.0.layer.0.layer_norm.weight");

  const auto gradient = [&](const std::vector<at::Tensor>& values, bool graph) {
    TensorTable leaves;
    for (size_t i = 0; i < names.size(); ++i) leaves[names[i]] = values[i];
    const Weights weights = base.with(leaves);
    const Encoded encoded = family.encode(weights, inputs.source);
    const at::Tensor logits = family.targetLogits(weights, encoded, inputs.targets, prompt);
    const at::Tensor loss =
        at::log_softmax(logits, 1).gather(1, inputs.targets.labels_N.unsqueeze(1)).mean().neg();
    return torch::autograd::grad({loss}, values, {}, std::nullopt, graph);
  };

  Random random(23);
  std::vector<at::Tensor> values, direction;
  for (const std::string& name : names) {
    values.push_back(base.at(name).detach().clone().set_requires_grad(true));
    direction.push_back(random.normalTensor(base.at(name).sizes(), 0, 1).to(at::kDouble));
  }
  const std::vector<at::Tensor> first = gradient(values, true);
  at::Tensor along = at::zeros({}, at::kDouble);
  for (size_t i = 0; i < names.size(); ++i) along = along + (first[i] * direction[i]).sum();
  const std::vector<at::Tensor> second = torch::autograd::grad({along}, values);

  constexpr double kStep = 1e-5;
  const auto moved = [&](double step) {
    std::vector<at::Tensor> at;
    for (size_t i = 0; i < names.size(); ++i) {
      at.push_back((values[i].detach() + step * direction[i]).set_requires_grad(true));
    }
    return gradient(at, false);
  };
  const std::vector<at::Tensor> up = moved(kStep);
  const std::vector<at::Tensor> down = moved(-kStep);
  for (size_t i = 0; i < names.size(); ++i) {
    const at::Tensor difference = (up[i] - down[i]) / (2 * kStep);
    const double size = difference.abs().max().item<double>();
    EXPECT_LT((difference - second[i]).abs().max().item<double>(), 1e-4 * size + 1e-8) << names[i];
    EXPECT_GT(size, 0) << names[i];
  }
}

TEST(EncoderOnly, EncodesAndHasNoDecoder) {
  const Json config =
      Json::parse(R"({"model_type": "t5", "architectures": ["T5EncoderModel"], "d_model": 16, "d_kv": 8,
      "d_ff": 32, "num_heads": 2, "num_layers": 1, "vocab_size": 60})");
  const tiny::Folder folder;
  saveModel(createModel(config, 1, at::kCPU), folder.path(), "fp32");
  const Model model = loadModel(folder.path(), at::kCPU);
  for (const std::string& name : model.weights.names()) EXPECT_EQ(name.find("decoder"), std::string::npos);
  const Encoded encoded = model.architecture->encode(model.weights, pad({{3, 4}, {2}}, 0, 60, at::kCPU));
  EXPECT_EQ(encoded.h_BSD.sizes(), at::IntArrayRef({1, 2, 16}));
  expectFailure(ErrorCode::WeightMissing, "decoder.", [&] {
    model.architecture->targetLogits(model.weights, encoded, makeTargets({{3}, {1}}, 0, 60, at::kCPU), {});
  });
}

}  // namespace
}  // namespace seprog
