// SLAG: training steps, resume, what is refused.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>

#include "failure.h"
#include "slag_parts.h"

namespace seprog {
namespace {

using tiny::figure;
using tiny::rewrite;
using tiny::slagEpisodes;
using tiny::slagFamilies;
using tiny::slagRequests;
using tiny::slagSpec;

JobContext quiet;

TensorTable weightsOf(const Editor& editor) {
  const tiny::Folder folder;
  editor.save(folder.path(), false);
  return readSafetensors(folder / "editor.safetensors").tensors;
}

// slag.md test 10.
TEST(Slag, LearnsOneEditByHeart) {
  for (const auto& [name, config] : slagFamilies()) {
    SCOPED_TRACE(name);
    const auto base = std::make_shared<const Model>(createModel(config, 2, at::kCPU));
    EpisodeBatch batch = slagEpisodes(*base->architecture, 8, 1, 1);
    if (base->architecture->answerKind() == AnswerKind::Label) {
      const int32_t said = baseScorer(base)->generate(batch.edits.source, {1, true}, quiet).tokens.ids[0];
      batch.edits.target.ids[0] = 1 - said;
    }
    batch.inScope = batch.edits;
    const auto editor = makeSlag(slagSpec(R"(, "klWeight": 0.1, "maxScale": 4, "innerSteps": 3)"), base);
    const auto learnt = [&] { return figure(editor->validate(batch, quiet), "rowAccuracy") == 1; };
    EXPECT_FALSE(learnt());
    int steps = 0;  // looked at every tenth
    for (; steps < 200 && (steps % 10 != 0 || !learnt()); ++steps) editor->trainStep(batch, 1e-2, quiet);
    EXPECT_LT(steps, 200);
    const auto edited = editor->edit(slagRequests(batch, 0, 1), baseScorer(base), quiet);
    EXPECT_EQ(figure(edited->editFigures(), "stoppedShare"), 1);
    EXPECT_EQ(edited->generate(batch.edits.source, {batch.edits.target.lengths[0], true}, quiet).tokens.ids,
              batch.edits.target.ids);
  }
}

TEST(Slag, LearnsEditsInARow) {
  const auto base = tiny::model(2);
  const EpisodeBatch batch = tiny::episodes(8, 1, 4);
  const auto editor = makeSlag(slagSpec(R"(, "innerSteps": 2, "maxScale": 4)"), base);
  const double before = figure(editor->validate(batch, quiet), "editLoss");
  for (int step = 0; step < 40; ++step) editor->trainStep(batch, 1e-2, quiet);
  EXPECT_LT(figure(editor->validate(batch, quiet), "editLoss"), 0.6 * before);
}

TEST(Slag, ValidationIsTheLossOfTheNextStep) {
  for (const auto& [name, config] : slagFamilies()) {
    SCOPED_TRACE(name);
    const auto base = std::make_shared<const Model>(createModel(config, 2, at::kCPU));
    const EpisodeBatch batch = slagEpisodes(*base->architecture, 1, 2, 3);
    for (const char* way : {"two_stage", "create_graph"}) {
      const auto editor =
          makeSlag(slagSpec(std::string(R"(, "innerSteps": 2, "hypergradient": ")") + way + "\""), base);
      const std::string fingerprint = editor->fingerprint();
      const Figures validated = editor->validate(batch, quiet);
      EXPECT_EQ(editor->fingerprint(), fingerprint);
      const Figures trained = editor->trainStep(batch, 1e-2, quiet);
      EXPECT_NE(editor->fingerprint(), fingerprint);
      EXPECT_EQ(trained.size(), validated.size() + 1);
      for (const auto& [figureName, value] : validated) {
        EXPECT_NEAR(figure(trained, figureName), value, 1e-5) << figureName;
      }
    }
  }
}

TEST(Slag, ResumesToTheSameBits) {
  const tiny::Folder folder;
  const auto base = tiny::model();
  const auto step = [](Editor& editor, uint64_t i) {
    editor.trainStep(tiny::episodes(i, 1, 3), 1e-2, quiet);
  };
  const auto whole = makeSlag(slagSpec(), base);
  for (uint64_t i = 0; i < 4; ++i) step(*whole, i);
  const auto first = makeSlag(slagSpec(), base);
  for (uint64_t i = 0; i < 2; ++i) step(*first, i);
  first->save(folder.path(), true);
  const auto second = makeSlag(slagSpec(R"(, "innerSteps": 5)"), base);
  step(*second, 9);
  second->restore(folder.path(), true);
  EXPECT_EQ(second->fingerprint(), first->fingerprint());
  for (uint64_t i = 2; i < 4; ++i) step(*second, i);
  EXPECT_EQ(second->fingerprint(), whole->fingerprint());
}

TEST(Slag, CancelAndBadBatchesChangeNothing) {
  const auto editor = makeSlag(slagSpec(), tiny::model());
  editor->trainStep(tiny::episodes(1, 1, 3), 1e-2, quiet);
  const std::string fingerprint = editor->fingerprint();
  const TensorTable before = weightsOf(*editor);
  JobContext cancelled(std::make_shared<std::atomic<bool>>(true));
  EXPECT_EQ(tiny::codeOf([&] { editor->trainStep(tiny::episodes(2, 1, 3), 1e-2, cancelled); }),
            ErrorCode::Aborted);
  const auto code = [&](const std::function<void(EpisodeBatch&)>& spoil) {
    EpisodeBatch batch = tiny::episodes(2, 1, 3);
    spoil(batch);
    return tiny::codeOf([&] { editor->trainStep(batch, 1e-2, quiet); });
  };
  EXPECT_EQ(code([](EpisodeBatch& b) { b.episodes = 2; }), ErrorCode::DataInvalid);
  EXPECT_EQ(code([](EpisodeBatch& b) { b.regroupings = {3}; }), ErrorCode::Unsupported);
  EXPECT_EQ(code([](EpisodeBatch& b) { b.editText = slice(b.editText, 0, 2); }), ErrorCode::DataInvalid);
  EXPECT_EQ(code([](EpisodeBatch& b) { b.outScope.target = slice(b.outScope.target, 0, 2); }),
            ErrorCode::DataInvalid);
  EXPECT_EQ(code([](EpisodeBatch& b) { b.edits.source.ids[0] = tiny::kVocabulary; }), ErrorCode::DataInvalid);
  EXPECT_EQ(code([](EpisodeBatch& b) { b.editText.ids.back() = -1; }), ErrorCode::DataInvalid);
  rewrite(*editor, "linear.bias", [](const at::Tensor& bias) { return at::full_like(bias, std::nan("")); });
  const std::string spoilt = editor->fingerprint();
  EXPECT_EQ(code([](EpisodeBatch&) {}), ErrorCode::NonFinite);
  EXPECT_EQ(editor->fingerprint(), spoilt);
  rewrite(*editor, "linear.bias", [&](const at::Tensor&) { return before.at("linear.bias"); });
  EXPECT_EQ(editor->fingerprint(), fingerprint);
}

TEST(Slag, RefusesCheckpointsOfAnotherMaking) {
  const auto base = tiny::model();
  const auto editor = makeSlag(slagSpec(), base);
  const std::string fingerprint = editor->fingerprint();
  const auto refuses = [&](const Json& options, const std::shared_ptr<const Model>& of,
                           const std::string& part) {
    const tiny::Folder folder;
    makeSlag(options, of)->save(folder.path(), false);
    expectFailure(ErrorCode::CheckpointInvalid, part, [&] { editor->restore(folder.path(), false); });
    EXPECT_EQ(editor->fingerprint(), fingerprint);
  };
  refuses(slagSpec(), tiny::model(5), "`baseChecksum`");
  refuses(slagSpec(R"(, "maxScale": 2)"), base, "`spec.maxScale`");
  refuses(Json::parse(R"({"kind": "slag", "lstmWidth": 9, "conditionWidth": 12, "conditionerWidth": 10})"),
          base, "other sizes");
  const tiny::Folder folder;
  EXPECT_EQ(tiny::codeOf([&] { editor->restore(folder.path(), false); }), ErrorCode::CheckpointInvalid);
}

}  // namespace
}  // namespace seprog
