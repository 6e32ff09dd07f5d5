// SERAC: what its training and its checkpoints promise.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/editors/model_scorer.h"
#include "core/instrument/counting_allocator.h"
#include "core/instrument/meter.h"
#include "core/io/atomic_file.h"
#include "serac_parts.h"

namespace seprog {
namespace {

using namespace tiny;

TEST(Serac, ResumesToTheSameBits) {
  const SeracWorld world;
  const tiny::Folder folder;
  const auto whole = world.editor(), first = world.editor(), second = world.editor();
  for (uint64_t step = 0; step < 6; ++step) whole->trainStep(seracEpisodes(step, 2, 3), 1e-2, quiet);
  for (uint64_t step = 0; step < 3; ++step) first->trainStep(seracEpisodes(step, 2, 3), 1e-2, quiet);
  first->save(folder.path(), true);
  second->restore(folder.path(), true);
  EXPECT_EQ(second->fingerprint(), first->fingerprint());
  for (uint64_t step = 3; step < 6; ++step) second->trainStep(seracEpisodes(step, 2, 3), 1e-2, quiet);
  EXPECT_EQ(second->fingerprint(), whole->fingerprint());
}

TEST(Serac, AValidationIsAStepWithoutOne) {
  const SeracWorld world;
  const uint64_t before = world.base->weights.checksum();
  const auto editor = world.editor();
  const EpisodeBatch batch = seracEpisodes(4, 2, 3);
  const std::string fingerprint = editor->fingerprint();
  const Figures validated = editor->validate(batch, quiet);
  EXPECT_EQ(editor->fingerprint(), fingerprint);
  const Figures trained = editor->trainStep(batch, 1e-3, quiet);
  for (const auto& [name, value] : validated) EXPECT_NEAR(figure(trained, name), value, 1e-5) << name;
  EXPECT_NEAR(figure(trained, "loss"),
              0.1 * figure(trained, "counterfactualLoss") + figure(trained, "scopeLoss"), 1e-6);
  EXPECT_NE(editor->fingerprint(), fingerprint);
  EXPECT_EQ(world.base->weights.checksum(), before);
}

TEST(Serac, TrainingDoesNotChangeScorersAlreadyMade) {
  const SeracWorld world;
  const auto editor = world.editor(R"(, "threshold": 1e-12)");
  const EpisodeBatch batch = seracEpisodes(4, 1, 3);
  const auto scorer = editor->edit(seracRequests(batch), baseScorer(world.base), quiet);
  const at::Tensor before = scorer->targetLogits(batch.inScope, quiet);
  editor->trainStep(batch, 1e-2, quiet);
  EXPECT_TRUE(at::equal(scorer->targetLogits(batch.inScope, quiet), before));
}

TEST(Serac, ACancelledOrRefusedStepLeavesEverythingAsItWas) {
  const SeracWorld world;
  const auto editor = world.editor();
  const std::string fingerprint = editor->fingerprint();
  const auto flag = std::make_shared<std::atomic<bool>>(true);
  JobContext cancelled(flag);
  EXPECT_EQ(codeOf([&] { editor->trainStep(seracEpisodes(4, 1, 3), 1e-2, cancelled); }), ErrorCode::Aborted);
  EpisodeBatch nested = seracEpisodes(4, 1, 3);
  nested.regroupings = {3};
  EXPECT_EQ(codeOf([&] { editor->trainStep(nested, 1e-2, quiet); }), ErrorCode::Unsupported);
  EXPECT_EQ(editor->fingerprint(), fingerprint);
}

TEST(Serac, RefusesCheckpointsOfOthers) {
  const SeracWorld world, larger(config(), with(distilbertConfig(), R"({"n_layers": 2})"));
  const auto editor = world.editor();
  const std::string fingerprint = editor->fingerprint();
  const auto code = [&](const std::string& folder) {
    return codeOf([&] { editor->restore(folder, false); });
  };
  const tiny::Folder variant, sizes, bases, torn, empty;
  world.editor(R"(, "scopeClassifier": "cross_attention")")->save(variant.path(), false);
  EXPECT_EQ(code(variant.path()), ErrorCode::CheckpointInvalid);
  larger.editor()->save(sizes.path(), false);
  EXPECT_EQ(code(sizes.path()), ErrorCode::CheckpointInvalid);
  makeSerac(world.spec(), model(2))->save(bases.path(), false);
  EXPECT_EQ(code(bases.path()), ErrorCode::CheckpointInvalid);
  EXPECT_EQ(code(empty.path()), ErrorCode::CheckpointInvalid);
  editor->save(torn.path(), false);
  const std::string whole = readFile(torn / "editor.safetensors");
  writeFileAtomic(torn / "editor.safetensors", whole.substr(0, whole.size() / 2));
  EXPECT_EQ(code(torn.path()), ErrorCode::CheckpointInvalid);
  EXPECT_EQ(editor->fingerprint(), fingerprint);
}

TEST(Serac, APeakDoesNotGrowWithTheEdits) {
  installCountingAllocator();
  const SeracWorld world(with(config(), R"({"d_model": 64, "d_ff": 256})"),
                         with(distilbertConfig(), R"({"dim": 96, "hidden_dim": 384})"));
  for (const char* variant : {"embedding", "cross_attention"}) {
    const auto peakBytes = [&](int64_t edits, const char* rows) {
      const auto editor =
          world.editor(std::string(R"(, "scopeClassifier": ")") + variant + R"(", "microBatch": )" + rows);
      Random random(4);
      const auto texts = [&] { return tiny::rows(random, edits, 7, 7); };
      EpisodeBatch batch;
      batch.editText = texts();
      batch.editPrefix = texts();
      batch.inScope = {texts(), tiny::rows(random, edits, 2, 2)};
      batch.outScope.source = texts();
      Meter meter(c10::Device(c10::DeviceType::CPU));
      JobContext context(nullptr, &meter);
      editor->trainStep(batch, 1e-4, context);
      const PhaseRecord total = meter.finish().total;
      return static_cast<double>(total.peakBytes - total.baselineBytes);
    };
    const double few = peakBytes(8, "8");
    EXPECT_LE(peakBytes(128, "8"), 1.2 * few) << variant;
    EXPECT_GE(peakBytes(128, "1000"), 2 * few) << variant;  // what chunks save
  }
}

/// Edits whose inputs name a subject and whose prefix ends with the answer, as tokens.
EpisodeBatch copyingEpisodes(uint64_t seed, int64_t edits) {
  Random random(seed);
  const auto id = [&](int64_t least, int64_t count) {
    return static_cast<int32_t>(least + static_cast<int64_t>(random.uniform() * static_cast<double>(count)));
  };
  const auto add = [](TokenRows& rows, const std::vector<int32_t>& row) {
    rows.ids.insert(rows.ids.end(), row.begin(), row.end());
    rows.lengths.push_back(static_cast<int32_t>(row.size()));
  };
  constexpr int32_t kStop = 1, kFirst = 2;
  EpisodeBatch batch;
  for (int64_t k = 0; k < edits; ++k) {
    const int32_t subject = static_cast<int32_t>(3 + k), answer = id(40, 8), elsewhere = id(3 + edits, 5);
    add(batch.edits.source, {subject, kStop});
    add(batch.edits.target, {answer, kStop});
    add(batch.editText, {kFirst, subject, kStop});
    add(batch.editPrefix, {answer});
    add(batch.inScope.source, {subject, kStop});
    add(batch.inScope.target, {answer, kStop});
    add(batch.inScopeViews.classifier, {kFirst, subject, kStop});
    add(batch.outScope.source, {elsewhere, kStop});
    add(batch.outScope.target, {answer, kStop});
    add(batch.outScopeViews.classifier, {kFirst, elsewhere, kStop});
  }
  return batch;
}

TEST(Serac, LearnsThirtyTwoEdits) {
  const SeracWorld world(with(config(), R"({"d_model": 32, "d_kv": 16, "d_ff": 64})"));
  const auto editor = world.editor(R"(, "cEdit": 1, "microBatch": 64)");
  for (uint64_t step = 0; step < 250; ++step) editor->trainStep(copyingEpisodes(step, 32), 5e-3, quiet);
  const EpisodeBatch batch = copyingEpisodes(1000, 32);
  const auto scorer = editor->edit(seracRequests(batch), baseScorer(world.base), quiet);
  const TokenScores in = scorer->score(batch.inScope, {{}, batch.inScopeViews}, quiet);
  const TokenScores out = scorer->score(batch.outScope, {{}, batch.outScopeViews}, quiet);
  int gated = 0, right = 0;
  for (size_t b = 0; b < 32; ++b) {
    gated += (in.scope.logit[b] > 0 ? 1 : 0) + (out.scope.logit[b] > 0 ? 0 : 1);
    right += in.argmax[2 * b] == batch.inScope.target.ids[2 * b] ? 1 : 0;
  }
  EXPECT_GT(gated, 0.95 * 64);
  EXPECT_GT(right, 0.9 * 32);
}

}  // namespace
}  // namespace seprog
