// The data-dependent start of SEPROG and several K from one batch.
#include "core/editors/seprog/whitened_start.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

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
  EXPECT_EQ(codeOf([&] {
              whitenedStart(modules, z_KD, at::randn({40, 24}), at::randn({40, 24}));
            }),
            ErrorCode::ConfigInvalid);
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
  // Row i of 8 sees the episodes of 8 (i even) or of 1 (i odd): its prompt loss must be one of the two alone.
  const double together = figure(losses(seenAs(1)).figures, "promptLoss");
  const double alone = figure(losses(seenAs(8)).figures, "promptLoss");
  const double mixed = figure(losses(seenAs(1, {8})).figures, "promptLoss");
  EXPECT_NE(together, alone);
  EXPECT_GT(mixed, std::min(together, alone) - 1e-2);
  EXPECT_LT(mixed, std::max(together, alone) + 1e-2);
}

TEST_F(Regroupings, RefusesANumberThatDoesNotDivideTheRows) {
  EXPECT_EQ(codeOf([&] { losses(seenAs(1, {3})); }), ErrorCode::DataInvalid);
}

}  // namespace
}  // namespace seprog
