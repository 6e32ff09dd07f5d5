// Properties of GPT-2 that neither fixtures show nor invariance_test.cpp: where a source ends, positions, the
// added pad token, names in checkpoints, fresh weights.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

#include "core/decode/generate.h"
#include "core/editors/seprog/edit_encoder.h"
#include "failure.h"
#include "tiny.h"

namespace seprog {
namespace {

constexpr int64_t kPositions = 24;

class Gpt2 : public testing::Test {
 protected:
  const Json config = tiny::gpt2Config();
  const Model model = createModel(tiny::with(config, R"({"initializer_range": 0.2})"), 5, at::kCPU);
  const Architecture& family = *model.architecture;

  Encoded source(const TokenRows& rows) const {
    return {pad(rows, family.padId(), family.vocabulary(), at::kCPU), {}};
  }
  Encoded source(int64_t length) const {
    return source({std::vector<int32_t>(length, 7), {static_cast<int32_t>(length)}});
  }
  at::Tensor logits(const Encoded& from, const TokenRows& target, const Prompt& prompt = {}) const {
    return family.targetLogits(model.weights, from, targetsFor(family, target, at::kCPU), prompt);
  }
  at::Tensor logits(int64_t sources, int64_t answer, const Prompt& prompt = {}) const {
    return logits(source(sources), {std::vector<int32_t>(answer, 9), {static_cast<int32_t>(answer)}}, prompt);
  }
  TokenRows answer(int64_t sources, const Prompt& prompt, int64_t tokens) const {
    JobContext context;
    return generateTokens(family, model.weights, source(sources), prompt, {tokens, true}, context);
  }
};

TEST_F(Gpt2, AnswersGoOnWhereTheSourceEnds) {
  const at::NoGradGuard frozen;
  EXPECT_EQ(family.answerKind(), AnswerKind::Continuation);
  EXPECT_FALSE(family.answersFromStates());
  // The same rows cut elsewhere: the tokens behind both cuts have the same logits.
  const at::Tensor early = logits(source({{3, 4, 5, 6, 7}, {2, 3}}), {{10, 11, 12, 13, 20, 21}, {4, 2}});
  const at::Tensor late = logits(source({{3, 4, 10, 11, 5, 6, 7, 20}, {4, 4}}), {{12, 13, 21}, {2, 1}});
  EXPECT_TRUE(at::allclose(early.index_select(0, at::tensor({2, 3, 5})), late, 1e-5, 1e-5));
  // A target row without a token has no logits, and takes nothing from the others.
  const at::Tensor one = logits(source({{3, 4, 5, 6, 7}, {2, 3}}), {{20, 21}, {0, 2}});
  EXPECT_TRUE(at::allclose(one, early.narrow(0, 4, 2), 1e-5, 1e-5));
}

TEST_F(Gpt2, GoesOnBehindItsStopToken) {
  const at::NoGradGuard frozen;
  const TokenRows free = answer(5, {}, 8);
  EXPECT_EQ(free.lengths, std::vector<int32_t>{8});
  const auto stopping =
      makeArchitecture(tiny::with(config, "{\"eos_token_id\": " + std::to_string(free.ids.front()) + "}"));
  JobContext context;
  EXPECT_EQ(generateTokens(*stopping, model.weights, source(5), {}, {8, true}, context).ids, free.ids);
}

TEST_F(Gpt2, HasNothingToContinueInAnEmptySource) {
  const at::NoGradGuard frozen;
  const Encoded empty = source({{7, 8}, {2, 0}});
  expectFailure(ErrorCode::DataInvalid, "`source` row 1", [&] { logits(empty, {{9, 9}, {1, 1}}); });
  JobContext context;
  expectFailure(ErrorCode::DataInvalid, "`source` row 1", [&] {
    generateTokens(family, model.weights, empty, {}, {2, true}, context);
  });
}

TEST_F(Gpt2, RefusesMorePositionsThanItHas) {
  const at::NoGradGuard frozen;
  const Prompt concat(at::ones({1, 4, 24}), PromptPositions::Concat);
  const Prompt keep(at::ones({1, 4, 24}), PromptPositions::Keep);
  family.encode(model.weights, source(kPositions).source);
  expectFailure(ErrorCode::DataInvalid, "`source`",
                [&] { family.encode(model.weights, source(kPositions + 1).source); });
  logits(10, kPositions - 9);  // the last target token is never read
  expectFailure(ErrorCode::DataInvalid, "`source and target`", [&] { logits(10, kPositions - 8); });
  logits(10, kPositions - 13, concat);
  expectFailure(ErrorCode::DataInvalid, "`source and target`", [&] { logits(10, kPositions - 12, concat); });
  logits(10, kPositions - 9, keep);
  EXPECT_EQ(answer(10, concat, kPositions - 13).ids.size(), kPositions - 13);
  expectFailure(ErrorCode::DataInvalid, "`source and answer`", [&] { answer(10, concat, kPositions - 12); });
  EXPECT_EQ(answer(10, keep, kPositions - 9).ids.size(), kPositions - 9);
}

TEST_F(Gpt2, APadTokenIsAddedOnce) {
  const tiny::Folder plain;
  const tiny::Folder padded;
  saveModel(model, plain.path(), "fp32");
  EXPECT_EQ(family.padId(), family.stopId());
  const Model added = loadModel(plain.path(), at::kCPU, {true});
  EXPECT_EQ(added.architecture->vocabulary(), 61);
  EXPECT_EQ(added.architecture->padId(), 60);
  EXPECT_EQ(added.architecture->stopId(), 1);
  const at::Tensor& table_VD = added.architecture->embeddingTable(added.weights);
  EXPECT_TRUE(at::equal(table_VD.narrow(0, 0, 60), family.embeddingTable(model.weights)));
  EXPECT_TRUE(at::allclose(table_VD[60], family.embeddingTable(model.weights).mean(0)));
  EXPECT_EQ(added.architecture->config().find("vocab_size")->number(), 61);

  saveModel(added, padded.path(), "fp32");
  for (const bool again : {false, true}) {
    const Model loaded = loadModel(padded.path(), at::kCPU, {again});
    EXPECT_EQ(loaded.weights.checksum(), added.weights.checksum());
    EXPECT_EQ(loaded.architecture->config().dump(), added.architecture->config().dump());
  }
  const tiny::Folder t5;
  saveModel(*tiny::model(), t5.path(), "fp32");
  EXPECT_EQ(loadModel(t5.path(), at::kCPU, {true}).weights.checksum(), tiny::model()->weights.checksum());
}

TEST_F(Gpt2, ReadsTheNamesOfItsFiles) {
  TensorTable bare;
  for (const auto& [name, tensor] : model.weights.flatten()) bare[name.substr(12)] = tensor;
  bare["h.0.attn.bias"] = at::ones({1, 1, 24, 24}, at::kBool);
  bare["h.0.attn.masked_bias"] = at::full({}, -1e4);
  bare["lm_head.weight"] = bare["wte.weight"];
  family.normaliseNames(bare);
  EXPECT_EQ(Weights(bare).checksum(), model.weights.checksum());
}

TEST_F(Gpt2, StartsAsHuggingFaceDoes) {
  const Model fresh = createModel(config, 9, at::kCPU);
  for (const auto& [name, tensor] : fresh.weights.flatten()) {
    if (name.ends_with(".bias")) {
      EXPECT_EQ(tensor.abs().max().item<float>(), 0) << name;
    } else if (tensor.dim() == 1) {
      EXPECT_TRUE(at::equal(tensor, at::ones_like(tensor))) << name;
    } else {
      const double expected = name.ends_with("c_proj.weight") ? 0.02 / std::sqrt(6.0) : 0.02;
      EXPECT_NEAR(tensor.square().mean().sqrt().item<double>(), expected, 0.15 * expected) << name;
    }
  }
}

TEST_F(Gpt2, RefusesWhatItCannotCompute) {
  for (const char* member :
       {R"({"tie_word_embeddings": false})", R"({"scale_attn_weights": false})",
        R"({"scale_attn_by_inverse_layer_idx": true})", R"({"activation_function": "swish"})"}) {
    expectFailure(ErrorCode::Unsupported, "config.", [&] { makeArchitecture(tiny::with(config, member)); });
  }
  expectFailure(ErrorCode::ConfigInvalid, "config.n_head",
                [&] { makeArchitecture(tiny::with(config, R"({"n_head": 5})")); });
  expectFailure(ErrorCode::ConfigInvalid, "config.pad_token_id",
                [&] { makeArchitecture(tiny::with(config, R"({"pad_token_id": 60})")); });
  expectFailure(ErrorCode::Unsupported, "editor.editEncoder", [&] { encoderOf(model); });
}

}  // namespace
}  // namespace seprog
