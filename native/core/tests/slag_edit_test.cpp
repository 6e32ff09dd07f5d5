// SLAG: what an edit is, on the base and on edited models.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/editors/slag/hypernetwork.h"
#include "slag_parts.h"

namespace seprog {
namespace {

using tiny::expectClose;
using tiny::figure;
using tiny::readTinySlagSpec;
using tiny::rewrite;
using tiny::slagRequests;
using tiny::slagSpec;

JobContext quiet;

// slag.md test 7.
TEST(Slag, TheBaseNeverChanges) {
  const auto base = tiny::model();
  const uint64_t before = base->weights.checksum();
  const Hypernetwork network(readTinySlagSpec(), *base);
  EXPECT_NE(network.parameters().at("embedding").const_data_ptr(),
            base->architecture->embeddingTable(base->weights).const_data_ptr());
  const auto editor = makeSlag(slagSpec(), base);
  for (uint64_t step = 0; step < 3; ++step) editor->trainStep(tiny::episodes(step, 1, 3), 1e-2, quiet);
  const auto edited = editor->edit(slagRequests(tiny::episodes(1, 1, 3), 0, 3), baseScorer(base), quiet);
  EXPECT_EQ(base->weights.checksum(), before);
  for (const auto& [name, tensor] : base->weights.flatten()) EXPECT_FALSE(tensor.requires_grad()) << name;
  EXPECT_EQ(&edited->base(), base.get());
}

// slag.md test 6.
TEST(Slag, EditsOneAfterAnotherAreThoseOfOneCall) {
  const auto base = tiny::model();
  const auto editor = makeSlag(slagSpec(R"(, "maxScale": 8, "innerSteps": 2)"), base);
  const EpisodeBatch batch = tiny::episodes(4, 1, 2);
  const auto both = editor->edit(slagRequests(batch, 0, 2), baseScorer(base), quiet);
  const auto first = editor->edit(slagRequests(batch, 0, 1), baseScorer(base), quiet);
  const auto second = editor->edit(slagRequests(batch, 1, 1), first, quiet);
  const auto logits = [&](const Scorer& scorer) { return scorer.targetLogits(batch.outScope, quiet); };
  expectClose(logits(*second), logits(*both), 1e-5, "logits");
  EXPECT_GT((logits(*first) - logits(*both)).abs().max().item<double>(), 1e-4);
  EXPECT_GT((logits(*first) - logits(*baseScorer(base))).abs().max().item<double>(), 1e-4);

  const auto swapped = editor->edit({{pick(batch.edits.source, {1, 0}), pick(batch.edits.target, {1, 0})},
                                     pick(batch.editText, {1, 0}),
                                     {"b", "a"}},
                                    baseScorer(base), quiet);
  EXPECT_GT((logits(*swapped) - logits(*both)).abs().max().item<double>(), 1e-7) << "the order matters";
}

TEST(Slag, RefusesOtherModelsAndEditors) {
  const auto base = tiny::model();
  const auto editor = makeSlag(slagSpec(), base);
  const EpisodeBatch batch = tiny::episodes(4, 1, 2);
  const auto edited = editor->edit(slagRequests(batch, 0, 2), baseScorer(base), quiet);
  const auto other = makeSlag(slagSpec(R"(, "innerSteps": 2)"), base);
  rewrite(*other, "linear.bias", [](const at::Tensor& bias) { return bias + 1; });
  EXPECT_EQ(tiny::codeOf([&] { other->edit(slagRequests(batch, 0, 2), edited, quiet); }),
            ErrorCode::Unsupported);
  EXPECT_EQ(tiny::codeOf([&] { editor->edit(slagRequests(batch, 0, 2), baseScorer(tiny::model(9)), quiet); }),
            ErrorCode::Unsupported);
  EditRequests uneven = slagRequests(batch, 0, 2);
  uneven.editText = slice(uneven.editText, 0, 1);
  EXPECT_EQ(tiny::codeOf([&] { editor->edit(uneven, baseScorer(base), quiet); }), ErrorCode::DataInvalid);
}

TEST(Slag, EditsNothingWithoutEdits) {
  const auto base = tiny::model();
  const auto edited = makeSlag(slagSpec(), base)->edit({}, baseScorer(base), quiet);
  const EpisodeBatch batch = tiny::episodes(4, 1, 2);
  EXPECT_EQ(edited->score(batch.edits, quiet).logProb, baseScorer(base)->score(batch.edits, quiet).logProb);
}

// slag.md test 9.
TEST(Slag, StopsBehindTheStepThatMakesTheEditRight) {
  const auto base = tiny::model();
  const auto editor = makeSlag(slagSpec(R"(, "maxScale": 1e-6, "innerSteps": 4)"), base);
  EpisodeBatch batch = tiny::episodes(4, 1, 2);
  const auto wrong = editor->edit(slagRequests(batch, 0, 2), baseScorer(base), quiet)->editFigures();
  EXPECT_EQ(figure(wrong, "steps"), 4);
  EXPECT_EQ(figure(wrong, "stoppedShare"), 0);

  // The first edit asks for what the base says already.
  TokenRows said = baseScorer(base)->generate(slice(batch.edits.source, 0, 1), {3, true}, quiet).tokens;
  const TokenRows asked = slice(batch.edits.target, 1, 1);
  said.ids.insert(said.ids.end(), asked.ids.begin(), asked.ids.end());
  said.lengths.push_back(asked.lengths[0]);
  batch.edits.target = said;
  const auto half = editor->edit(slagRequests(batch, 0, 2), baseScorer(base), quiet)->editFigures();
  EXPECT_EQ(figure(half, "steps"), 2.5);
  EXPECT_EQ(figure(half, "stoppedShare"), 0.5);
  EXPECT_GT(figure(half, "updateNorm"), 0);
  const Figures trained = editor->validate(batch, quiet);
  EXPECT_EQ(figure(trained, "innerSteps"), 2.5);
  EXPECT_EQ(figure(trained, "rowAccuracy"), 0.5);
}

}  // namespace
}  // namespace seprog
