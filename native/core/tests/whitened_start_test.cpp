// The data-dependent start of SEPROG and several K from one batch.
#include "core/editors/seprog/whitened_start.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/editors/seprog/edit_encoder.h"
#include "core/editors/seprog/seprog.h"
#include "core/editors/seprog/seprog_losses.h"
#include "tiny.h"

namespace seprog {
namespace {

using tiny::codeOf;
using tiny::figure;

constexpr const char* kWhitened = R"(, "projectionStart": "whitened")";
JobContext quiet;

/// Edits whose in-scope input is the edit's own source: the two encodings of a row resemble each other.
EpisodeBatch alike(uint64_t seed, int64_t edits) {
  EpisodeBatch batch = tiny::episodes(seed, 1, edits);
  batch.inScope = batch.edits;
  batch.editText = batch.edits.source;
  return batch;
}

TEST(WhitenedStart, EditsSelectTheirInputsFromTheStart) {
  const auto base = tiny::model();
  const EpisodeBatch sample = alike(3, 64);
  const EpisodeBatch unseen = alike(4, 32);
  const auto random = makeSeprog(tiny::spec(), base);
  const auto whitened = makeSeprog(tiny::spec(kWhitened), base);
  const Figures found = whitened->calibrate(sample, quiet);
  EXPECT_NEAR(figure(found, "selectLogit"), 8.0, 1e-3);
  const double before = figure(random->validate(unseen, quiet), "selectAccuracy");
  const double after = figure(whitened->validate(unseen, quiet), "selectAccuracy");
  EXPECT_LT(before, 0.5);
  EXPECT_GT(after, 0.9);
}

TEST(WhitenedStart, TheMeanEditIsTheOrigin) {
  const auto base = tiny::model();
  const SeprogModules modules(readSeprogSpec(tiny::spec(kWhitened)), encoderOf(*base), *base);
  const at::Tensor z_KD = at::randn({40, 16});
  const WhitenedStart start =
      whitenedStart(modules, z_KD, z_KD + 0.1 * at::randn({40, 16}), at::randn({40, 16}));
  const at::Tensor mean_H = at::linear(z_KD, start.parameters.at("W_o"), start.parameters.at("b_o")).mean(0);
  EXPECT_LT(mean_H.abs().max().item<float>(), 1e-4);
  EXPECT_TRUE(at::equal(start.parameters.at("W_o"), start.parameters.at("W_att")));
  // Nothing else moves.
  EXPECT_TRUE(
      at::equal(start.parameters.at("NN_prompt.0.weight"), modules.parameters().at("NN_prompt.0.weight")));
}

TEST(WhitenedStart, MatchesEncodersThatHaveNothingInCommon) {
  const auto base = tiny::model();
  const Json wider = Json::parse(
      R"({"model_type": "t5", "architectures": ["T5EncoderModel"], "d_model": 24, "d_kv": 8, "d_ff": 32,
      "num_heads": 2, "num_layers": 1, "vocab_size": 60, "relative_attention_num_buckets": 8})");
  const Model encoder = createModel(wider, 5, at::kCPU);
  const SeprogModules modules(readSeprogSpec(tiny::spec(R"(, "projectionStart": "whitened",
      "editEncoder": {"source": "directory", "path": "elsewhere"})")),
                              encoder, *base);
  // Both sides see ten hidden causes through mixings of their own.
  at::manual_seed(3);
  const at::Tensor toInput = at::randn({10, 16}), toEdit = at::randn({10, 24});
  const auto seen = [&](const at::Tensor& cause, const at::Tensor& mixing) {
    return at::mm(cause, mixing) + 3.0 + 0.05 * at::randn({cause.size(0), mixing.size(1)});
  };
  const at::Tensor known = at::randn({400, 10}), other = at::randn({400, 10}), fresh = at::randn({50, 10});
  const WhitenedStart start =
      whitenedStart(modules, seen(known, toEdit), seen(known, toInput), seen(other, toInput));
  EXPECT_NEAR(figure(start.figures, "selectLogit"), 8.0, 1e-3);
  const at::Tensor h =
      at::linear(seen(fresh, toEdit), start.parameters.at("W_o"), start.parameters.at("b_o"));
  const at::Tensor q = at::linear(seen(fresh, toInput), start.parameters.at("W_att"));
  const at::Tensor right = at::mm(q, h.t()).argmax(1).eq(at::arange(50));
  EXPECT_GT(right.to(at::kDouble).mean().item<double>(), 0.8);  // by chance 0.02
}

TEST(WhitenedStart, RefusesWhatItCannotStartFrom) {
  const auto base = tiny::model();
  EXPECT_EQ(codeOf([&] { makeSeprog(tiny::spec(), base)->calibrate(alike(3, 8), quiet); }),
            ErrorCode::Unsupported);
  const auto trained = makeSeprog(tiny::spec(kWhitened), base);
  trained->trainStep(alike(3, 8), 1e-3, quiet);
  const std::string before = trained->fingerprint();
  EXPECT_EQ(codeOf([&] { trained->calibrate(alike(3, 8), quiet); }), ErrorCode::Unsupported);
  EXPECT_EQ(trained->fingerprint(), before);
  const SeprogModules modules(readSeprogSpec(tiny::spec(kWhitened)), encoderOf(*base), *base);
  const at::Tensor z_KD = at::randn({40, 16});
  EXPECT_EQ(codeOf([&] { whitenedStart(modules, z_KD, z_KD.neg() + z_KD.mean(0), z_KD); }),
            ErrorCode::DataInvalid);
}

class Regroupings : public ::testing::Test {
 protected:
  Regroupings() : base(tiny::model()), modules(readSeprogSpec(tiny::spec()), encoderOf(*base), *base) {}
  EpisodeLosses losses(const EpisodeBatch& batch) {
    return episodeLosses(*base, modules.tracked(), prepareEpisodes(batch, *base, modules.editEncoder()), true,
                         quiet);
  }
  EpisodeBatch seenAs(int64_t n, std::vector<int64_t> more = {}) {
    EpisodeBatch batch = tiny::episodes(7, 1, 8);
    batch.episodes = n;
    batch.regroupings = std::move(more);
    return batch;
  }
  std::shared_ptr<const Model> base;
  SeprogModules modules;
};

TEST_F(Regroupings, ScopeLossIsTheMeanOverGroupings) {
  const double one = figure(losses(seenAs(1)).figures, "scopeLoss");
  const double two = figure(losses(seenAs(2)).figures, "scopeLoss");
  const double eight = figure(losses(seenAs(8)).figures, "scopeLoss");
  EXPECT_NEAR(figure(losses(seenAs(1, {2, 8})).figures, "scopeLoss"), (one + two + eight) / 3, 1e-6);
  EXPECT_NE(one, eight);
}

TEST_F(Regroupings, TheSameGroupingTwiceChangesNothing) {
  const EpisodeLosses once = losses(seenAs(2));
  const EpisodeLosses twice = losses(seenAs(2, {2}));
  EXPECT_NEAR(figure(once.figures, "loss"), figure(twice.figures, "loss"), 1e-6);
  for (const auto& [name, gradient] : once.gradients) {
    EXPECT_TRUE(at::allclose(gradient, twice.gradients.at(name), 1e-4, 1e-6)) << name;
  }
}

TEST_F(Regroupings, PromptsComeFromTheGroupingsInTurn) {
  // The prompt loss of the rows with i mod 2 = parity alone: the others have no target token.
  const auto ofRows = [&](int64_t n, int64_t parity, double& tokens) {
    EpisodeBatch batch = seenAs(n);
    TokenRows kept;
    for (int64_t i = 0; i < 8; ++i) {
      const TokenRows row = slice(batch.inScope.target, i, 1);
      const bool keep = i % 2 == parity;
      if (keep) kept.ids.insert(kept.ids.end(), row.ids.begin(), row.ids.end());
      kept.lengths.push_back(keep ? row.lengths[0] : 0);
    }
    tokens = static_cast<double>(kept.ids.size());
    batch.inScope.target = kept;
    return figure(losses(batch).figures, "promptLoss");
  };
  double evenTokens = 0, oddTokens = 0;
  const double even = ofRows(1, 0, evenTokens);  // even rows from the first grouping, one episode of 8
  const double odd = ofRows(8, 1, oddTokens);    // odd rows from the second, 8 episodes of 1
  const double expected = (even * evenTokens + odd * oddTokens) / (evenTokens + oddTokens);
  EXPECT_NEAR(figure(losses(seenAs(1, {8})).figures, "promptLoss"), expected, 1e-6);
  EXPECT_GT(std::abs(figure(losses(seenAs(1)).figures, "promptLoss") - expected), 1e-5);
}

TEST_F(Regroupings, RefusesANumberThatDoesNotDivideTheRows) {
  EXPECT_EQ(codeOf([&] { losses(seenAs(1, {3})); }), ErrorCode::DataInvalid);
}

}  // namespace
}  // namespace seprog
