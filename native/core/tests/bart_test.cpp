// Properties of BART that neither fixtures show nor invariance_test.cpp: positions, names in checkpoints, the
// constant of the logits, fresh weights, the encoder alone.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "core/decode/generate.h"
#include "core/editors/seprog/edit_encoder.h"
#include "failure.h"
#include "tiny.h"

namespace seprog {
namespace {

constexpr int64_t kPositions = 24;

class Bart : public testing::Test {
 protected:
  const Json config = tiny::bartConfig();
  const Model model = createModel(config, 5, at::kCPU);
  const Architecture& family = *model.architecture;

  TokenBatch source(int64_t length) const {
    return pad({std::vector<int32_t>(length, 7), {static_cast<int32_t>(length)}}, 0, 60, at::kCPU);
  }
  Targets targets(int64_t length) const {
    return makeTargets({std::vector<int32_t>(length, 9), {static_cast<int32_t>(length)}}, 0, 60, at::kCPU);
  }
  Prompt prompt(int64_t length, PromptPositions positions) const {
    return {at::ones({1, length, 24}), positions};
  }
  at::Tensor logits(int64_t sources, int64_t answer, const Prompt& before = {}) const {
    return family.targetLogits(model.weights, family.encode(model.weights, source(sources)), targets(answer),
                               before);
  }
  TokenRows answer(const Prompt& before, int64_t tokens) const {
    JobContext context;
    return generateTokens(family, model.weights, family.encode(model.weights, source(3)), before,
                          {tokens, false}, context);
  }
};

TEST_F(Bart, RefusesMorePositionsThanItHas) {
  const at::NoGradGuard frozen;
  logits(kPositions, kPositions);
  expectFailure(ErrorCode::DataInvalid, "`source`", [&] { logits(kPositions + 1, 1); });
  expectFailure(ErrorCode::DataInvalid, "`target`", [&] { logits(3, kPositions + 1); });
  logits(3, kPositions - 4, prompt(4, PromptPositions::Concat));
  expectFailure(ErrorCode::DataInvalid, "`target`",
                [&] { logits(3, kPositions - 3, prompt(4, PromptPositions::Concat)); });
  logits(3, kPositions, prompt(4, PromptPositions::Keep));  // prompt rows take no position
  EXPECT_EQ(answer(prompt(4, PromptPositions::Concat), kPositions - 4).ids.size(), kPositions - 4);
  expectFailure(ErrorCode::DataInvalid, "`target`",
                [&] { answer(prompt(4, PromptPositions::Concat), kPositions - 3); });
  EXPECT_EQ(answer(prompt(4, PromptPositions::Keep), kPositions).ids.size(), kPositions);
}

TEST_F(Bart, ReadsTheNamesOfItsFiles) {
  TensorTable bare;
  for (const auto& [name, tensor] : model.weights.flatten()) bare[name.substr(6)] = tensor;
  bare["encoder.embed_tokens.weight"] = bare["decoder.embed_tokens.weight"] = bare["shared.weight"];
  bare["lm_head.weight"] = bare["shared.weight"];
  bare.erase("shared.weight");
  bare["final_logits_bias"] = at::zeros({1, 60});
  bare["classification_head.dense.weight"] = at::ones({3, 3});
  family.normaliseNames(bare);
  EXPECT_EQ(Weights(bare).checksum(), model.weights.checksum());
}

TEST_F(Bart, TheConstantOfTheLogitsIsAdded) {
  const at::NoGradGuard frozen;
  TensorTable table = model.weights.flatten();
  const at::Tensor bias_V = at::arange(60, at::kFloat);
  table["final_logits_bias"] = bias_V.unsqueeze(0);
  family.normaliseNames(table);
  const Model biased{model.architecture, Weights(table)};
  const Encoded encoded = family.encode(model.weights, source(3));
  EXPECT_TRUE(at::allclose(family.targetLogits(biased.weights, encoded, targets(2), {}),
                           family.targetLogits(model.weights, encoded, targets(2), {}) + bias_V, 1e-5, 1e-5));
  EXPECT_FALSE(family.head(biased.weights).bias_V.requires_grad());
  const tiny::Folder folder;
  saveModel(biased, folder.path(), "fp32");
  EXPECT_EQ(loadModel(folder.path(), at::kCPU).weights.checksum(), biased.weights.checksum());
  table["final_logits_bias"] = at::ones({1, 59});
  expectFailure(ErrorCode::ShapeMismatch, "final_logits_bias", [&] { family.normaliseNames(table); });
}

TEST_F(Bart, StartsAsHuggingFaceDoes) {
  for (const auto& [name, tensor] : model.weights.flatten()) {
    if (name.ends_with(".bias")) {
      EXPECT_EQ(tensor.abs().max().item<float>(), 0) << name;
    } else if (tensor.dim() == 1) {
      EXPECT_TRUE(at::equal(tensor, at::ones_like(tensor))) << name;
    } else {
      EXPECT_NEAR(tensor.square().mean().sqrt().item<double>(), 0.02, 0.004) << name;
    }
  }
  EXPECT_EQ(family.embeddingTable(model.weights).select(0, family.padId()).abs().max().item<float>(), 0);
}

TEST_F(Bart, ScalesEmbeddingsWhereTheConfigSaysSo) {
  const at::NoGradGuard frozen;
  const auto scaled = makeArchitecture(tiny::with(config, R"({"scale_embedding": true})"));
  TensorTable table = model.weights.flatten();
  table["model.shared.weight"] = table["model.shared.weight"] * std::sqrt(24.0);
  EXPECT_TRUE(at::allclose(scaled->encode(model.weights, source(4)).h_BSD,
                           family.encode(Weights(table), source(4)).h_BSD, 1e-5, 1e-5));
}

TEST_F(Bart, RefusesWhatItCannotCompute) {
  for (const char* member : {R"({"normalize_before": true})", R"({"add_final_layer_norm": true})",
                             R"({"static_position_embeddings": true})", R"({"tie_word_embeddings": false})",
                             R"({"activation_function": "swish"})"}) {
    expectFailure(ErrorCode::Unsupported, "config.", [&] { makeArchitecture(tiny::with(config, member)); });
  }
  expectFailure(ErrorCode::ConfigInvalid, "config.encoder_attention_heads",
                [&] { makeArchitecture(tiny::with(config, R"({"encoder_attention_heads": 5})")); });
  expectFailure(ErrorCode::ConfigInvalid, "config.decoder_start_token_id",
                [&] { makeArchitecture(tiny::with(config, R"({"decoder_start_token_id": 60})")); });
}

TEST_F(Bart, ItsEncoderReadsEditTexts) {
  const Model encoder = encoderOf(model);
  for (const std::string& name : encoder.weights.names()) {
    EXPECT_EQ(name.find("decoder"), std::string::npos) << name;
  }
  const tiny::Folder folder;
  saveModel(encoder, folder.path(), "fp32");
  const Model again = loadEncoder(folder.path(), at::kCPU);
  EXPECT_TRUE(at::equal(again.architecture->encode(again.weights, source(5)).h_BSD,
                        family.encode(model.weights, source(5)).h_BSD));
}

}  // namespace
}  // namespace seprog
