// What is particular to the classifiers: one class id an answer, one logit seen as two, token types, names in
// checkpoints, encoders without a head.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "core/decode/generate.h"
#include "core/editors/seprog/edit_encoder.h"
#include "core/io/atomic_file.h"
#include "core/io/safetensors.h"
#include "core/train/losses.h"
#include "failure.h"
#include "seprog_parts.h"

namespace seprog {
namespace {

/// Fresh weights make logits that are nearly alike: larger ones tell rows apart.
Model lively(const Json& config) {
  const Model model = createModel(config, 5, at::kCPU);
  TensorTable table;
  for (const auto& [name, tensor] : model.weights.flatten()) {
    const bool norm = name.find("orm.") != std::string::npos;
    table[name] = norm ? tensor : tensor * 8 + Random(3, name).normalTensor(tensor.sizes(), 0, 0.05);
  }
  return {model.architecture, Weights(table)};
}

Json with(const Json& config, const std::string& more) {
  Json::Object members = config.object();
  const Json added = Json::parse(more);
  for (const auto& [key, value] : added.object()) {
    std::erase_if(members, [&, name = key](const auto& member) { return member.first == name; });
    members.emplace_back(key, value);
  }
  return Json(std::move(members));
}

struct Inputs {
  Inputs(const Model& model, int64_t rows, int64_t prompts, PromptPositions positions) {
    Random random(11);
    sourceRows = tiny::rows(random, rows, 2, 7);
    for (size_t i = 0; i < sourceRows.ids.size(); ++i) sourceRows.types.push_back(i % 3 == 0 ? 1 : 0);
    source = pad(sourceRows, 0, 60, at::kCPU);
    targetRows = tiny::classes(random, rows, model.architecture->targetVocabulary());
    targets = targetsFor(*model.architecture, targetRows, at::kCPU);
    encoded = model.architecture->encode(model.weights, source);
    if (prompts > 0) prompt = {random.normalTensor({rows, prompts, 24}, 0, 1), positions};
  }
  TokenRows sourceRows;
  TokenRows targetRows;
  TokenBatch source;
  Targets targets;
  Encoded encoded;
  Prompt prompt;
};

class EveryClassifier : public testing::TestWithParam<const char*> {
 protected:
  const Json config = std::string(GetParam()) == "bert" ? tiny::bertConfig() : tiny::distilbertConfig();
  const Model model = lively(config);
  const Architecture& family = *model.architecture;
  /// Unprompted, and both ways to place a prompt.
  std::vector<Inputs> everyWay(int64_t rows) const {
    return {Inputs(model, rows, 0, PromptPositions::Concat), Inputs(model, rows, 3, PromptPositions::Concat),
            Inputs(model, rows, 3, PromptPositions::Keep)};
  }
  at::Tensor logits(const Inputs& inputs) const {
    return family.targetLogits(model.weights, inputs.encoded, inputs.targets, inputs.prompt);
  }
};
INSTANTIATE_TEST_SUITE_P(Families, EveryClassifier, testing::Values("bert", "distilbert"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(EveryClassifier, AnswersWithOneOfItsClasses) {
  EXPECT_EQ(family.family(), GetParam());
  EXPECT_EQ(family.answerKind(), AnswerKind::Label);
  EXPECT_EQ(family.targetVocabulary(), 2);
  const at::NoGradGuard frozen;
  JobContext context;
  for (const Inputs& inputs : everyWay(40)) {
    const TokenRows answers =
        generateTokens(family, model.weights, inputs.encoded, inputs.prompt, {5, true}, context);
    EXPECT_EQ(answers.lengths, std::vector<int32_t>(40, 1));
    const at::Tensor argmax = logits(inputs).argmax(1).to(at::kInt);
    EXPECT_TRUE(at::equal(at::tensor(at::ArrayRef<int32_t>(answers.ids)), argmax));
    EXPECT_GT(argmax.sum().item<int64_t>(), 0);
    EXPECT_LT(argmax.sum().item<int64_t>(), 40);
  }
}

TEST_P(EveryClassifier, HasNoSecondToken) {
  const Inputs inputs(model, 3, 0, PromptPositions::Concat);
  const auto state = family.startDecode(model.weights, inputs.encoded, {});
  EXPECT_TRUE(at::allclose(state->first(), logits(inputs)));
  expectFailure(ErrorCode::Internal, "one class id", [&] { state->next(at::zeros({3}, at::kLong)); });
}

TEST_P(EveryClassifier, RefusesMorePositionsThanItHas) {
  const auto answer = [&](int32_t length, int64_t prompts, PromptPositions positions) {
    TokenRows rows{std::vector<int32_t>(length, 5), {length}};
    const Encoded encoded = family.encode(model.weights, pad(rows, 0, 60, at::kCPU));
    return family.targetLogits(model.weights, encoded, targetsFor(family, {{0}, {1}}, at::kCPU),
                               {at::zeros({1, prompts, 24}), positions});
  };
  answer(24, 0, PromptPositions::Concat);
  answer(20, 4, PromptPositions::Concat);
  answer(24, 4, PromptPositions::Keep);
  expectFailure(ErrorCode::DataInvalid, "at most 24 positions",
                [&] { answer(25, 0, PromptPositions::Concat); });
  expectFailure(ErrorCode::DataInvalid, "received 25", [&] { answer(21, 4, PromptPositions::Concat); });
}

TEST_P(EveryClassifier, RefusesRowsItCannotRead) {
  expectFailure(ErrorCode::DataInvalid, "[CLS]", [&] {
    family.encode(model.weights, pad({{4, 5}, {2, 0}}, 0, 60, at::kCPU));
  });
  expectFailure(ErrorCode::DataInvalid, "exactly one class id", [&] {
    targetsFor(family, {{0, 1}, {2}}, at::kCPU);
  });
  expectFailure(ErrorCode::DataInvalid, "[0, 2)", [&] { targetsFor(family, {{2}, {1}}, at::kCPU); });
}

TEST_P(EveryClassifier, StartsAsHuggingFaceDoes) {
  const Model fresh = createModel(config, 9, at::kCPU);
  for (const auto& [name, tensor] : fresh.weights.flatten()) {
    const bool norm =
        name.find("LayerNorm") != std::string::npos || name.find("layer_norm") != std::string::npos;
    if (name.ends_with(".bias")) {
      EXPECT_EQ(tensor.abs().max().item<float>(), 0) << name;
    } else if (norm) {
      EXPECT_TRUE(at::equal(tensor, at::ones_like(tensor))) << name;
    } else {
      EXPECT_NEAR(tensor.square().mean().sqrt().item<double>(), 0.02, 0.008) << name;
    }
  }
  EXPECT_EQ(family.embeddingTable(fresh.weights).select(0, 0).abs().max().item<float>(), 0);
}

TEST_P(EveryClassifier, RefusesWhatItCannotCompute) {
  const bool bert = family.family() == "bert";
  const char* activation = bert ? "hidden_act" : "activation";
  expectFailure(ErrorCode::Unsupported, activation,
                [&] { makeArchitecture(with(config, "{\"" + std::string(activation) + "\": \"relu\"}")); });
  expectFailure(ErrorCode::ConfigInvalid, bert ? "config.hidden_size" : "config.dim", [&] {
    makeArchitecture(with(config, bert ? R"({"num_attention_heads": 5})" : R"({"n_heads": 5})"));
  });
  expectFailure(ErrorCode::ConfigInvalid, "config.num_labels",
                [&] { makeArchitecture(with(config, R"({"num_labels": 0})")); });
  expectFailure(ErrorCode::ConfigInvalid, "config.id2label",
                [&] { makeArchitecture(with(config, R"({"id2label": []})")); });
}

TEST_P(EveryClassifier, CountsItsClasses) {
  const auto classes = [&](const char* more) {
    Json::Object members = config.object();
    std::erase_if(members, [](const auto& member) { return member.first == "num_labels"; });
    return makeArchitecture(with(Json(members), more))->targetVocabulary();
  };
  EXPECT_EQ(classes("{}"), 2);
  EXPECT_EQ(classes(R"({"num_labels": 1})"), 2);
  EXPECT_EQ(classes(R"({"num_labels": 3})"), 3);
  EXPECT_EQ(classes(R"({"id2label": {"0": "a", "1": "b", "2": "c", "3": "d"}})"), 4);
}

TEST_P(EveryClassifier, RowsOutOfScopeKeepTheBitsOfTheBase) {
  const auto base = std::make_shared<const Model>(model);
  const auto editor = tiny::makeEditorOf(base);
  Random random(8);
  const auto pairs = [&](int64_t count) {
    return PairRows{tiny::rows(random, count, 3, 8), tiny::classes(random, count, 2)};
  };
  const PairRows edits = pairs(5);
  const EditRequests requests{edits, edits.source, std::vector<std::string>(5, "edit")};
  const PairRows asked = pairs(20);
  const auto plain = baseScorer(base);
  std::vector<float> logits =
      editor->edit(requests, plain, tiny::quiet)->score(asked, tiny::quiet).scope.logit;
  std::sort(logits.begin(), logits.end());
  tiny::rewrite(*editor, "NN_e.2.bias", [&](const at::Tensor& bias) { return bias - logits[10]; });

  const TokenScores scores = editor->edit(requests, plain, tiny::quiet)->score(asked, tiny::quiet);
  const TokenScores unedited = plain->score(asked, tiny::quiet);
  int inScope = 0;
  for (size_t b = 0; b < 20; ++b) {
    if (scores.scope.logit[b] > 0) {
      ++inScope;
      EXPECT_NE(scores.logProb[b], unedited.logProb[b]) << b;
    } else {
      EXPECT_EQ(scores.logProb[b], unedited.logProb[b]) << b;
    }
  }
  EXPECT_GT(inScope, 0);
  EXPECT_LT(inScope, 20);
}

/// A folder of this config and these tensors.
class CheckpointFolder {
 public:
  CheckpointFolder(const Json& config, const TensorTable& table) {
    writeFileAtomic(folder_ / "config.json", config.dump());
    writeSafetensors(folder_ / "model.safetensors", table);
  }
  const std::string& path() const { return folder_.path(); }

 private:
  tiny::Folder folder_;
};

/// The tensors under other names; an empty name leaves one out.
template <typename Rename>
TensorTable renamed(const Model& model, Rename&& rename) {
  TensorTable table;
  for (const auto& [name, tensor] : model.weights.flatten()) {
    const std::string other = rename(name);
    if (!other.empty()) table[other] = tensor;
  }
  return table;
}

std::string swapped(std::string name, std::string_view old, std::string_view now) {
  if (const size_t at = name.find(old); at != std::string::npos) name.replace(at, old.size(), now);
  return name;
}

TEST_P(EveryClassifier, ReadsEveryNamingOfItsFiles) {
  const std::string prefix = family.family() + ".";
  std::vector<TensorTable> namings = {
      renamed(model, [&](const std::string& name) { return swapped(name, prefix, ""); })};
  if (family.family() == "bert") {
    // MEND's wrapper around the encoder; the hub's bert-base-uncased.
    namings.push_back(
        renamed(model, [&](const std::string& name) { return swapped(name, prefix, "model."); }));
    namings.push_back(renamed(model, [&](const std::string& name) {
      return swapped(swapped(name, "LayerNorm.weight", "LayerNorm.gamma"), "LayerNorm.bias",
                     "LayerNorm.beta");
    }));
    namings.back()["cls.predictions.transform.LayerNorm.gamma"] = at::ones({24});
    namings.back()["bert.embeddings.position_ids"] = at::arange(24).unsqueeze(0);
  } else {
    namings[0]["vocab_transform.weight"] = at::ones({24, 24});
    namings[0]["vocab_layer_norm.bias"] = at::ones({24});
    namings[0]["vocab_projector.bias"] = at::ones({60});
  }
  for (const TensorTable& table : namings) {
    const CheckpointFolder folder(config, table);
    EXPECT_EQ(loadModel(folder.path(), at::kCPU).weights.checksum(), model.weights.checksum());
  }
}

TEST_P(EveryClassifier, AnEncoderWithoutAHeadIsAnEditEncoderOnly) {
  const auto headless = [](const std::string& name) {
    return name.find("classifier") != std::string::npos ? std::string() : name;
  };
  const CheckpointFolder masked(with(config, R"({"architectures": ["BertForMaskedLM"]})"),
                                renamed(model, headless));
  expectFailure(ErrorCode::WeightMissing, "without a classification head",
                [&] { loadModel(masked.path(), at::kCPU); });

  const std::string prefix = family.family() + ".";
  const CheckpointFolder bare(
      with(config, family.family() == "bert" ? R"({"architectures": ["BertModel"]})"
                                             : R"({"architectures": ["DistilBertModel"]})"),
      renamed(model, [&](const std::string& name) {
        return name.find("pooler") != std::string::npos ? "" : swapped(headless(name), prefix, "");
      }));
  const Inputs inputs(model, 3, 0, PromptPositions::Concat);
  for (const std::string& path : {masked.path(), bare.path()}) {
    const Model encoder = loadEncoder(path, at::kCPU);
    for (const std::string& name : encoder.weights.names()) {
      EXPECT_EQ(name.find("pooler"), std::string::npos);
      EXPECT_EQ(name.find("classifier"), std::string::npos);
    }
    EXPECT_TRUE(
        at::equal(encoder.architecture->encode(encoder.weights, inputs.source).h_BSD, inputs.encoded.h_BSD));
  }
  const Model alone = loadModel(bare.path(), at::kCPU);
  expectFailure(ErrorCode::WeightMissing, "without a classification head",
                [&] { alone.architecture->targetLogits(alone.weights, inputs.encoded, inputs.targets, {}); });
  EXPECT_EQ(encoderOf(model).weights.parameterCount(), encoderOf(alone).weights.parameterCount());
}

TEST(Bert, OneLogitIsTwoClasses) {
  const Model model = lively(tiny::bertConfig());
  const Architecture& family = *model.architecture;
  const Inputs inputs(model, 30, 0, PromptPositions::Concat);
  const at::Tensor states = family.targetStates(model.weights, inputs.encoded, inputs.targets, {});
  const at::Tensor logit =
      at::linear(states, model.weights.at("classifier.weight"), model.weights.at("classifier.bias"))
          .squeeze(1);
  const at::Tensor logits = family.targetLogits(model.weights, inputs.encoded, inputs.targets, {});
  EXPECT_TRUE(at::equal(logits.select(1, 0), at::zeros({30})));
  EXPECT_TRUE(at::allclose(logits.select(1, 1), logit));
  const TokenLosses losses = tokenNll(states, family.head(model.weights), inputs.targets.labels_N);
  const at::Tensor sign = inputs.targets.labels_N * 2 - 1;
  EXPECT_TRUE(at::allclose(losses.logProb_N, at::log_sigmoid(logit * sign), 1e-5, 1e-6));
  EXPECT_TRUE(at::equal(losses.argmax_N, logit.gt(0).to(at::kLong)));
}

TEST(Bert, ReadsTokenTypes) {
  const Model model = lively(tiny::bertConfig());
  const Architecture& family = *model.architecture;
  const Inputs inputs(model, 5, 0, PromptPositions::Concat);
  TokenBatch plain = inputs.source;
  plain.types_BS = at::Tensor();
  TokenBatch zeros = inputs.source;
  zeros.types_BS = at::zeros_like(inputs.source.types_BS);
  const at::Tensor without = family.encode(model.weights, plain).h_BSD;
  EXPECT_FALSE(at::allclose(without, inputs.encoded.h_BSD, 1e-2, 1e-2));
  EXPECT_TRUE(at::equal(without, family.encode(model.weights, zeros).h_BSD));
  TokenBatch high = inputs.source;
  high.types_BS = inputs.source.types_BS + 1;
  expectFailure(ErrorCode::DataInvalid, "token types in [0, 2)", [&] { family.encode(model.weights, high); });
}

TEST(Bert, RefusesOtherPositions) {
  expectFailure(ErrorCode::Unsupported, "position_embedding_type", [] {
    makeArchitecture(with(tiny::bertConfig(), R"({"position_embedding_type": "relative_key"})"));
  });
}

int64_t parameters(const char* config) {
  int64_t count = 0;
  for (const auto& [name, shape] : makeArchitecture(Json::parse(config))->expectedWeights())
    count += c10::multiply_integers(shape);
  return count;
}

TEST(Classifiers, HaveTheSizesOfTheirReleases) {
  EXPECT_EQ(parameters(R"({"model_type": "bert", "hidden_size": 768, "num_attention_heads": 12,
      "intermediate_size": 3072, "num_hidden_layers": 12, "vocab_size": 30522, "max_position_embeddings": 512,
      "num_labels": 1})"),
            109482240 + 769);
  EXPECT_EQ(parameters(R"({"model_type": "distilbert", "dim": 768, "n_heads": 12, "hidden_dim": 3072,
      "n_layers": 6, "vocab_size": 28996, "max_position_embeddings": 512})"),
            65190912 + 590592 + 1538);
}

}  // namespace
}  // namespace seprog
