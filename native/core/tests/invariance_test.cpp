// What holds for every family: rows do not know of each other, caches compute what a whole pass computes, a
// prompt of no rows is none, gradients and their gradients are right. A new family adds one line to kSubjects.
// B rows, T target columns, V target vocabulary.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <numeric>

#include "core/decode/generate.h"
#include "core/tensor/matmul_backend.h"
#include "core/train/losses.h"
#include "failure.h"
#include "tiny.h"

namespace seprog {
namespace {

struct Subject {
  const char* name;
  Json (*config)();
  double gain;  // of fresh weights, so that answers are not all alike
  bool keepsPositions;
};

Json gatedT5() {
  return Json::parse(
      R"({"model_type": "t5", "d_model": 24, "d_kv": 8, "d_ff": 40, "num_heads": 2, "num_layers": 2,
      "vocab_size": 60, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": false})");
}

const Subject kSubjects[] = {
    {"t5", tiny::config, 1.5, false},     {"t5_gated", gatedT5, 1, false},
    {"bart", tiny::bartConfig, 10, true}, {"gpt2", tiny::gpt2Config, 10, true},
    {"bert", tiny::bertConfig, 8, true},  {"distilbert", tiny::distilbertConfig, 8, true},
};

Model lively(const Subject& subject) {
  const Model model = createModel(subject.config(), 5, at::kCPU);
  TensorTable table;
  for (const auto& [name, tensor] : model.weights.flatten()) {
    const bool positions = name.find("relative_attention_bias") != std::string::npos;
    const bool matrix = tensor.dim() == 2;
    table[name] = tensor * (positions ? 4.0
                            : matrix  ? subject.gain
                                      : 1.0) +
                  (matrix ? at::zeros({}) : Random(3, name).normalTensor(tensor.sizes(), 0, 0.05));
  }
  return {model.architecture, Weights(table)};
}

struct Ask {
  PairRows rows;
  Prompt prompt;
};

TokenRows targetRows(const Architecture& family, Random& random, int64_t count) {
  if (family.answerKind() == AnswerKind::Label)
    return tiny::classes(random, count, family.targetVocabulary());
  return tiny::rows(random, count, 1, 4);
}

Ask select(const Ask& ask, const std::vector<int64_t>& rows) {
  Ask some{{pick(ask.rows.source, rows), pick(ask.rows.target, rows)}, ask.prompt};
  if (ask.prompt.length() > 0) {
    some.prompt.rows_BPD = ask.prompt.rows_BPD.index_select(0, at::tensor(rows, at::kLong));
  }
  return some;
}

/// The same batch with columns that no row needs.
TokenBatch widened(TokenBatch batch, int64_t columns, int64_t padId) {
  if (columns == 0) return batch;
  const std::vector<int64_t> more = {batch.rows(), columns};
  batch.ids_BS = at::cat({batch.ids_BS, at::full(more, padId, at::kLong)}, 1);
  batch.mask_BS = at::cat({batch.mask_BS, at::zeros(more, at::kBool)}, 1);
  batch.fullyReal = false;
  return batch;
}

class EveryFamily : public testing::TestWithParam<Subject> {
 protected:
  const Model model = lively(GetParam());
  const Architecture& family = *model.architecture;

  /// Unprompted, and every way to place a prompt.
  std::vector<Ask> everyWay(int64_t rows) const {
    Random random(11);
    const PairRows pairs{tiny::rows(random, rows, 2, 7), targetRows(family, random, rows)};
    const at::Tensor prompt_BPD = random.normalTensor({rows, 3, family.embeddingWidth()}, 0, 1);
    std::vector<Ask> asks = {{pairs, {}}, {pairs, {prompt_BPD, PromptPositions::Concat}}};
    if (GetParam().keepsPositions) asks.push_back({pairs, {prompt_BPD, PromptPositions::Keep}});
    return asks;
  }
  TokenBatch source(const Ask& ask, int64_t moreColumns = 0) const {
    return widened(pad(ask.rows.source, family.padId(), family.vocabulary(), at::kCPU), moreColumns,
                   family.padId());
  }
  Targets targets(const Ask& ask) const { return targetsFor(family, ask.rows.target, at::kCPU); }
  at::Tensor logits(const Ask& ask, int64_t moreColumns = 0) const {
    return family.targetLogits(model.weights, family.encode(model.weights, source(ask, moreColumns)),
                               targets(ask), ask.prompt);
  }
  TokenRows answers(const Ask& ask, const GenerateOptions& options, int64_t moreColumns = 0) const {
    JobContext context;
    return generateTokens(family, model.weights, family.encode(model.weights, source(ask, moreColumns)),
                          ask.prompt, options, context);
  }
};
INSTANTIATE_TEST_SUITE_P(Families, EveryFamily, testing::ValuesIn(kSubjects),
                         [](const auto& info) { return std::string(info.param.name); });

/// ln p of the target tokens.
at::Tensor scores(const at::Tensor& logits_NV, const at::Tensor& labels_N) {
  return at::log_softmax(logits_NV, 1).gather(1, labels_N.unsqueeze(1)).squeeze(1);
}

TEST_P(EveryFamily, AnswersAreTheSameInEveryBatchOrderAndPadding) {
  const at::NoGradGuard frozen;
  constexpr int64_t kRows = 64;
  const GenerateOptions greedy{6, true};
  const GenerateOptions sampled{6, true, Sampling{17, 0.8}};
  for (const Ask& ask : everyWay(kRows)) {
    const Targets all = targets(ask);
    const at::Tensor wanted_N = scores(logits(ask), all.labels_N);
    const TokenRows wantedGreedy = answers(ask, greedy);
    const TokenRows wantedSampled = answers(ask, sampled);
    Random random(29);
    for (int64_t size = 1; size <= kRows; ++size) {
      std::vector<int64_t> order(kRows);
      std::iota(order.begin(), order.end(), 0);
      for (int64_t i = kRows - 1; i > 0; --i) {
        std::swap(order[i], order[static_cast<int64_t>(random.uniform() * static_cast<double>(i + 1))]);
      }
      // Small sizes see several batches.
      for (int64_t first = 0; first + size <= kRows && first < std::max<int64_t>(size, 8); first += size) {
        const std::vector<int64_t> rows(order.begin() + first, order.begin() + first + size);
        const Ask part = select(ask, rows);
        const int64_t more = size % 3;
        const Targets some = targets(part);
        const at::Tensor got_N = scores(logits(part, more), some.labels_N);
        std::vector<at::Tensor> expected;
        for (const int64_t row : rows) expected.push_back(wanted_N.masked_select(all.rowOf_N == row));
        const double error = (got_N - at::cat(expected)).abs().max().item<double>();
        EXPECT_LE(error, 1e-5) << size << " rows, " << more << " more columns";
        EXPECT_EQ(answers(part, greedy, more).ids, pick(wantedGreedy, rows).ids) << size << " rows";
        EXPECT_EQ(answers(part, sampled, more).ids, pick(wantedSampled, rows).ids) << size << " rows";
      }
    }
  }
}

TEST_P(EveryFamily, ARowOfASelectionHasTheBitsItHasInTheWhole) {
  const at::NoGradGuard frozen;
  chooseMatmulBackend();  // as the engine does: the guarantee is about the products that really run
  const int threadsBefore = at::get_num_threads();
  for (const int threads : {1, 2}) {
    at::set_num_threads(threads);
    for (const Ask& ask : everyWay(23)) {
      const Encoded encoded = family.encode(model.weights, source(ask));
      const Targets all = targets(ask);
      const at::Tensor whole = family.targetLogits(model.weights, encoded, all, ask.prompt);
      const at::Tensor firstStep = family.startDecode(model.weights, encoded, ask.prompt)->first();
      JobContext context;
      const TokenRows wanted = generateTokens(family, model.weights, encoded, ask.prompt, {6, true}, context);
      for (const std::vector<int64_t>& rows : std::vector<std::vector<int64_t>>{
               {0},
               {22},
               {7, 3},
               {1, 2, 5},
               {0, 4, 9, 13, 21},
               {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}}) {
        const at::Tensor rows_R = at::tensor(rows, at::kLong);
        const Encoded some = encoded.select(rows_R);
        const Prompt prompt = select(ask, rows).prompt;
        std::vector<at::Tensor> expected;
        for (const int64_t row : rows) expected.push_back(whole.index({all.rowOf_N == row}));
        EXPECT_TRUE(at::equal(family.targetLogits(model.weights, some, all.select(rows_R), prompt),
                              at::cat(expected)))
            << rows.size() << " rows, " << threads << " threads";
        const auto state = family.startDecode(model.weights, some, prompt);
        EXPECT_TRUE(at::equal(state->first(), firstStep.index_select(0, rows_R)));
        EXPECT_EQ(generateTokens(family, model.weights, some, prompt, {6, true}, context).ids,
                  pick(wanted, rows).ids);
      }
    }
  }
  at::set_num_threads(threadsBefore);
}

TEST_P(EveryFamily, AnEmptyPromptIsNoPrompt) {
  const at::NoGradGuard frozen;
  for (Ask ask : everyWay(5)) {
    if (ask.prompt.length() == 0) continue;
    ask.prompt.rows_BPD = ask.prompt.rows_BPD.narrow(1, 0, 0);
    const Ask plain{ask.rows, {}};
    EXPECT_TRUE(at::equal(logits(ask), logits(plain)));
    EXPECT_EQ(answers(ask, {6, true}).ids, answers(plain, {6, true}).ids);
  }
}

TEST_P(EveryFamily, APromptChangesAnswersByWhereItStands) {
  const at::NoGradGuard frozen;
  const std::vector<Ask> asks = everyWay(5);
  std::vector<at::Tensor> all;
  for (const Ask& ask : asks) all.push_back(logits(ask));
  for (size_t i = 1; i < all.size(); ++i) {
    EXPECT_GT((all[i] - all[i - 1]).abs().max().item<float>(), 1e-3);
  }
}

/// Each step of a decoding state gives the logits of a whole teacher-forced pass over what was decoded.
TEST_P(EveryFamily, CachesComputeWhatAWholePassComputes) {
  const at::NoGradGuard frozen;
  for (const Ask& ask : everyWay(9)) {
    const TokenRows answer = answers(ask, {7, false});
    const Ask taught{{ask.rows.source, answer}, ask.prompt};
    const Targets given = targets(taught);
    const at::Tensor whole_NV = logits(taught);
    EXPECT_TRUE(at::equal(whole_NV.argmax(1), given.labels_N));
    EXPECT_GT(std::get<0>(at::_unique(given.labels_N)).numel(), 1) << "all answers alike show nothing";

    const at::Tensor ids_BT = given.tokens.ids_BS;
    const at::Tensor whole_BTV = whole_NV.view({9, ids_BT.size(1), -1});
    const auto state =
        family.startDecode(model.weights, family.encode(model.weights, source(ask)), ask.prompt);
    for (int64_t t = 0; t < ids_BT.size(1); ++t) {
      const at::Tensor step_BV = t == 0 ? state->first() : state->next(ids_BT.select(1, t - 1));
      EXPECT_TRUE(at::allclose(step_BV, whole_BTV.select(1, t), 1e-5, 1e-5)) << "token " << t;
    }
  }
}

TEST_P(EveryFamily, RowsThatLeaveDoNotDisturbTheOthers) {
  const at::NoGradGuard frozen;
  for (const Ask& ask : everyWay(6)) {
    if (family.answerKind() == AnswerKind::Label) continue;
    const Encoded encoded = family.encode(model.weights, source(ask));
    const auto all = family.startDecode(model.weights, encoded, ask.prompt);
    const auto fewer = family.startDecode(model.weights, encoded, ask.prompt);
    at::Tensor ids_B = all->first().argmax(1);
    fewer->first();
    at::Tensor kept = at::arange(6, at::kLong);
    for (const std::vector<int64_t>& stay :
         std::vector<std::vector<int64_t>>{{0, 2, 3, 5}, {0, 1, 2, 3}, {1, 3}, {1}}) {
      const at::Tensor stay_R = at::tensor(stay, at::kLong);
      kept = kept.index_select(0, stay_R);
      fewer->keep(stay_R);
      const at::Tensor whole_BV = all->next(ids_B);
      EXPECT_TRUE(
          at::allclose(fewer->next(ids_B.index_select(0, kept)), whole_BV.index_select(0, kept), 1e-5, 1e-5));
      ids_B = whole_BV.argmax(1);
    }
  }
}

/// In fp64, along a random direction of the prompt.
TEST_P(EveryFamily, GradientsThroughAPromptAgreeWithDifferences) {
  TensorTable wide;
  for (const auto& [name, tensor] : model.weights.flatten()) wide[name] = tensor.to(at::kDouble);
  const Weights weights{std::move(wide)};
  for (const Ask& ask : everyWay(4)) {
    if (ask.prompt.length() == 0) continue;
    const Targets wanted = targets(ask);
    const Encoded encoded = family.encode(weights, source(ask));
    const auto loss = [&](const at::Tensor& rows_BPD) {
      return scores(family.targetLogits(weights, encoded, wanted, {rows_BPD, ask.prompt.positions}),
                    wanted.labels_N)
          .mean();
    };
    const at::Tensor rows_BPD = ask.prompt.rows_BPD.to(at::kDouble);
    const at::Tensor along_BPD = Random(31).normalTensor(rows_BPD.sizes(), 0, 1).to(at::kDouble);
    const at::Tensor leaf = rows_BPD.clone().set_requires_grad(true);
    const double slope = (torch::autograd::grad({loss(leaf)}, {leaf})[0] * along_BPD).sum().item<double>();
    constexpr double kStep = 1e-6;
    const double difference =
        (loss(rows_BPD + kStep * along_BPD) - loss(rows_BPD - kStep * along_BPD)).item<double>() /
        (2 * kStep);
    EXPECT_NEAR(difference, slope, 1e-6 * std::max(1.0, std::abs(slope)));
    EXPECT_GT(std::abs(slope), 1e-4);
  }
}

TEST_P(EveryFamily, TapsGiveTheFactorsOfEachGradient) {
  const Ask ask = everyWay(4).back();
  const std::vector<std::string> names = family.editableWeights();
  Taps taps;
  TensorTable leaves;
  for (const std::string& name : names) {
    taps.wanted[name];
    leaves[name] = model.weights.at(name).detach().clone().set_requires_grad(true);
  }
  const Weights weights = model.weights.with(leaves);
  // The taps of a layer that runs in two passes hold the last one: the answer's.
  const Encoded encoded =
      family.answersFromStates() ? family.encode(weights, source(ask), &taps) : Encoded{source(ask), {}};
  const at::Tensor loss =
      at::log_softmax(family.targetLogits(weights, encoded, targets(ask), ask.prompt, &taps), 1)
          .select(1, 1)
          .sum();
  std::vector<at::Tensor> wanted;
  for (const std::string& name : names) wanted.push_back(leaves[name]);
  for (const std::string& name : names) wanted.push_back(taps.wanted[name].output);
  const std::vector<at::Tensor> gradients = torch::autograd::grad({loss}, wanted);
  for (size_t i = 0; i < names.size(); ++i) {
    const at::Tensor u_NI = taps.wanted[names[i]].input;
    const at::Tensor product_OI = at::matmul(gradients[names.size() + i].t(), u_NI);
    const at::Tensor own_OI = family.family() == "gpt2" ? gradients[i].t() : gradients[i];
    EXPECT_TRUE(at::allclose(product_OI, own_OI, 1e-4, 1e-5)) << names[i];
    EXPECT_GT(own_OI.abs().max().item<float>(), 0) << names[i];
  }
}

/// d/ds of the first-order gradient along a direction is the second derivative: compared in fp64.
TEST_P(EveryFamily, SecondDerivativesAgreeWithDifferences) {
  TensorTable wide;
  for (const auto& [name, tensor] : model.weights.flatten()) wide[name] = tensor.to(at::kDouble);
  const std::vector<std::string> names = Weights(wide).names();
  Ask ask = everyWay(4).back();
  ask.prompt.rows_BPD = ask.prompt.rows_BPD.to(at::kDouble);
  const Targets wanted = targets(ask);
  const auto gradient = [&](const std::vector<at::Tensor>& values, bool graph) {
    TensorTable leaves;
    for (size_t i = 0; i < names.size(); ++i) leaves[names[i]] = values[i];
    const Weights weights{std::move(leaves)};
    const Encoded encoded = family.encode(weights, source(ask));
    const at::Tensor loss =
        scores(family.targetLogits(weights, encoded, wanted, ask.prompt), wanted.labels_N).mean();
    return torch::autograd::grad({loss}, values, {}, std::nullopt, graph, true);
  };
  Random random(23);
  std::vector<at::Tensor> values, direction;
  for (const std::string& name : names) {
    values.push_back(wide.at(name).clone().set_requires_grad(true));
    direction.push_back(random.normalTensor(wide.at(name).sizes(), 0, 1).to(at::kDouble));
  }
  const std::vector<at::Tensor> first = gradient(values, true);
  at::Tensor along = at::zeros({}, at::kDouble);
  for (size_t i = 0; i < names.size(); ++i) {
    if (first[i].defined()) along = along + (first[i] * direction[i]).sum();
  }
  const std::vector<at::Tensor> second =
      torch::autograd::grad({along}, values, {}, std::nullopt, false, true);
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
  int compared = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    if (!second[i].defined()) continue;
    const at::Tensor difference = (up[i] - down[i]) / (2 * kStep);
    const double size = difference.abs().max().item<double>();
    EXPECT_LT((difference - second[i]).abs().max().item<double>(), 1e-4 * size + 1e-7) << names[i];
    ++compared;
  }
  EXPECT_GE(compared, static_cast<int>(names.size()) / 2);
}

TEST_P(EveryFamily, SamplingFollowsItsSeedAndTemperature) {
  const at::NoGradGuard frozen;
  if (family.answerKind() == AnswerKind::Label) return;
  const Ask ask = everyWay(12).front();
  const auto drawn = [&](uint64_t seed, double temperature) {
    return answers(ask, {8, false, Sampling{seed, temperature}}).ids;
  };
  EXPECT_EQ(drawn(1, 1), drawn(1, 1));
  EXPECT_NE(drawn(1, 1), drawn(2, 1));
  EXPECT_EQ(drawn(1, 1e-4), answers(ask, {8, false}).ids) << "cold draws are the likeliest tokens";
}

TEST_P(EveryFamily, RefusesPositionsItDoesNotHave) {
  if (GetParam().keepsPositions) return;
  const Ask concat = everyWay(2).back();
  const Ask keep{concat.rows, {concat.prompt.rows_BPD, PromptPositions::Keep}};
  expectFailure(ErrorCode::Unsupported, "promptPositions", [&] { logits(keep); });
  expectFailure(ErrorCode::Unsupported, "promptPositions", [&] { answers(keep, {2, true}); });
}

/// Draws of a fixed seed come as often as their probability says.
TEST(Sampling, DrawsByProbability) {
  const at::NoGradGuard frozen;
  const Subject subject{"gpt2", tiny::gpt2Config, 4, true};
  const Model model = lively(subject);
  const Architecture& family = *model.architecture;
  const TokenBatch source = pad({{7, 9, 5}, {3}}, family.padId(), family.vocabulary(), at::kCPU);
  const auto state = family.startDecode(model.weights, {source, {}}, {});
  const at::Tensor p_V = at::softmax(state->first(), 1).squeeze(0);
  at::Tensor count_V = at::zeros({family.vocabulary()});
  constexpr int kDraws = 4000;
  JobContext context;
  for (uint64_t seed = 0; seed < kDraws; ++seed) {
    const TokenRows one =
        generateTokens(family, model.weights, {source, {}}, {}, {1, false, Sampling{seed, 1}}, context);
    count_V[one.ids.front()] += 1;
  }
  // Five standard deviations of the most frequent cell.
  const double bound = 5 * std::sqrt(0.25 / kDraws);
  EXPECT_LT((count_V / kDraws - p_V).abs().max().item<double>(), bound);
  EXPECT_LT(p_V.max().item<double>(), 0.9);
}

}  // namespace
}  // namespace seprog
