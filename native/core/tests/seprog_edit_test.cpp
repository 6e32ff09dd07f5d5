// SEPROG: what its edits, memories and checkpoints promise.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/io/atomic_file.h"
#include "seprog_parts.h"

namespace seprog {
namespace {

using namespace tiny;

TEST(Seprog, AnEmptyMemoryAnswersAsTheBase) {
  const auto base = tiny::model();
  const auto editor = makeEditorOf(base);
  auto memory = std::make_shared<EditMemory>(editor->width(), editor->fingerprint());
  Random random(2);
  const PairRows pairs = tiny::pairs(random, 7);
  for (const char* gate : {"scope", "always"}) {
    const auto scorer = editor->withMemory(memory, gate);
    EXPECT_TRUE(at::equal(scorer->targetLogits(pairs, quiet), baseScorer(base)->targetLogits(pairs, quiet)));
    const Generation answers = scorer->generate(pairs.source, {5, true}, quiet);
    EXPECT_EQ(answers.tokens.ids, baseScorer(base)->generate(pairs.source, {5, true}, quiet).tokens.ids);
    EXPECT_EQ(answers.scope.selected, std::vector<int32_t>(7, -1));
    EXPECT_EQ(answers.scope.logit, std::vector<float>(7, -std::numeric_limits<float>::infinity()));
  }
}

TEST(Seprog, ScorersSeeTheirMemoryLive) {
  const auto base = tiny::model();
  const auto editor = makeEditorOf(base);
  const EpisodeBatch batch = tiny::episodes(4, 1, 3);
  auto memory = std::make_shared<EditMemory>(editor->width(), editor->fingerprint());
  const auto scorer = editor->withMemory(memory, "always");
  const at::Tensor empty = scorer->targetLogits(batch.inScope, quiet);
  memory->add({"a", "b", "c"}, editor->embed(batch.editText, quiet));
  const at::Tensor full = scorer->targetLogits(batch.inScope, quiet);
  EXPECT_FALSE(at::equal(empty, full));
  memory->remove({1, 2, 3});
  EXPECT_TRUE(at::equal(scorer->targetLogits(batch.inScope, quiet), empty));
}

TEST(Seprog, EditsStackOnACopyOfTheMemory) {
  const auto base = tiny::model();
  const auto editor = makeEditorOf(base);
  const EpisodeBatch first = tiny::episodes(4, 1, 3), second = tiny::episodes(5, 1, 2);
  const auto one = editor->edit(requests(first), baseScorer(base), quiet);
  const auto selected = [&](const std::shared_ptr<Scorer>& scorer, const EpisodeBatch& asked) {
    return scorer->generate(asked.inScope.source, {1, true}, quiet).scope;
  };
  const std::vector<float> before = selected(one, first).logit;
  const auto two = editor->edit(requests(second), one, quiet);
  EXPECT_EQ(selected(one, first).logit, before);
  EXPECT_NE(selected(two, first).logit, before);
}

TEST(Seprog, EditsOnlyWhatItCan) {
  const auto base = tiny::model();
  const auto editor = makeEditorOf(base), other = makeEditorOf(base, R"(, "lambda": 0.5)");
  const EpisodeBatch batch = tiny::episodes(4, 1, 3);
  rewrite(*other, "b_o", [](const at::Tensor& b) { return b + 1; });
  const auto ofOther = other->edit(requests(batch), baseScorer(base), quiet);
  EXPECT_EQ(codeOf([&] { editor->edit(requests(batch), ofOther, quiet); }), ErrorCode::Unsupported);
  EXPECT_EQ(codeOf([&] { editor->edit(requests(batch), baseScorer(tiny::model(2)), quiet); }),
            ErrorCode::Unsupported);
  EXPECT_NO_THROW(
      editor->edit(requests(batch), baseScorer(tiny::model()), quiet));  // the same weights, loaded twice
  class Overlay : public Scorer {
   public:
    explicit Overlay(const Model& model) : model_(model) {}
    const Model& base() const override { return model_; }
    TokenScores score(const PairRows&, const RowNotes&, JobContext&) const override { return {}; }
    at::Tensor targetLogits(const PairRows&, const RowNotes&, JobContext&) const override { return {}; }
    Generation generate(const TokenRows&, const RowNotes&, const GenerateOptions&,
                        JobContext&) const override {
      return {};
    }

   private:
    const Model& model_;
  };
  EXPECT_EQ(codeOf([&] { editor->edit(requests(batch), std::make_shared<Overlay>(*base), quiet); }),
            ErrorCode::Unsupported);
  EditRequests unlabelled = requests(batch);
  unlabelled.labels.pop_back();
  EXPECT_EQ(codeOf([&] { editor->edit(unlabelled, baseScorer(base), quiet); }), ErrorCode::DataInvalid);
  const auto foreign = std::make_shared<EditMemory>(editor->width(), "0123456789abcdef");
  EXPECT_EQ(codeOf([&] { editor->withMemory(foreign, "scope"); }), ErrorCode::Unsupported);
  const auto own = std::make_shared<EditMemory>(editor->width(), editor->fingerprint());
  EXPECT_EQ(codeOf([&] { editor->withMemory(own, "sometimes"); }), ErrorCode::ConfigInvalid);
}

TEST(Seprog, TrainingDoesNotChangeScorersAlreadyMade) {
  const auto base = tiny::model();
  const auto editor = makeEditorOf(base);
  const EpisodeBatch batch = tiny::episodes(4, 1, 3);
  const auto scorer = editor->edit(requests(batch), baseScorer(base), quiet);
  const at::Tensor before = scorer->targetLogits(batch.inScope, quiet);
  const std::string fingerprint = editor->fingerprint();
  editor->trainStep(batch, 1e-2, quiet);
  EXPECT_NE(editor->fingerprint(), fingerprint);
  EXPECT_TRUE(at::equal(scorer->targetLogits(batch.inScope, quiet), before));
}

TEST(Seprog, TrainingBehindACalibrationDoesNotChangeThemEither) {
  const auto base = tiny::model();
  const auto editor = makeEditorOf(base, R"(, "projectionStart": "whitened")");
  EpisodeBatch batch = tiny::episodes(4, 1, 12);
  batch.editText = batch.inScope.source;  // edits that resemble their inputs
  const auto scorer = editor->edit(requests(batch), baseScorer(base), quiet);
  const at::Tensor before = scorer->targetLogits(batch.inScope, quiet);
  editor->calibrate(batch, quiet);
  editor->trainStep(batch, 1e-2, quiet);
  EXPECT_TRUE(at::equal(scorer->targetLogits(batch.inScope, quiet), before));
}

TEST(Seprog, RefusesCheckpointsOfOthers) {
  const auto base = tiny::model();
  const auto editor = makeEditorOf(base);
  const std::string fingerprint = editor->fingerprint();
  const auto code = [&](const std::string& folder) {
    return codeOf([&] { editor->restore(folder, false); });
  };
  const tiny::Folder sizes, bases, torn, empty;
  makeEditorOf(base, R"(, "scopeHead": "two_layer")")->save(sizes.path(), false);
  EXPECT_EQ(code(sizes.path()), ErrorCode::CheckpointInvalid);
  makeEditorOf(tiny::model(2))->save(bases.path(), false);
  EXPECT_EQ(code(bases.path()), ErrorCode::CheckpointInvalid);
  EXPECT_EQ(code(empty.path()), ErrorCode::CheckpointInvalid);
  editor->save(torn.path(), false);
  const std::string whole = readFile(torn / "editor.safetensors");
  writeFileAtomic(torn / "editor.safetensors", whole.substr(0, whole.size() / 2));
  EXPECT_EQ(code(torn.path()), ErrorCode::CheckpointInvalid);
  EXPECT_EQ(codeOf([&] { editor->restore(torn.path(), true); }), ErrorCode::CheckpointInvalid);
  EXPECT_EQ(editor->fingerprint(), fingerprint);
}

TEST(Seprog, OptionsAreDecodedOnceAndStrictly) {
  const auto base = tiny::model();
  const auto message = [&](const std::string& more) {
    std::string text;
    EXPECT_EQ(codeOf([&] { makeEditor(tiny::spec(more), base); }, &text), ErrorCode::ConfigInvalid) << more;
    return text;
  };
  EXPECT_NE(message(R"(, "lambda": 2)").find("`editor.lambda`"), std::string::npos);
  EXPECT_NE(message(R"(, "lamda": 0.3)").find("`editor.lamda`"), std::string::npos);
  EXPECT_NE(message(R"(, "promptPositions": "keep")").find("`editor.promptPositions`"), std::string::npos);
  EXPECT_NE(message(R"(, "editEncoder": {"source": "directory"})").find("`editor.editEncoder.path`"),
            std::string::npos);
  EXPECT_EQ(codeOf([&] { makeEditor(Json::parse(R"({"kind": "magic"})"), base); }), ErrorCode::ConfigInvalid);
  for (const char* more : {R"(, "basePool": "first")", R"(, "basePool": "last")", R"(, "editPool": "first")",
                           R"(, "editActivation": "tanh")", R"(, "scopeHead": "two_layer")",
                           R"(, "promptReduction": "sequence")"}) {
    const auto editor = makeEditor(tiny::spec(more), base);
    EXPECT_GT(figure(editor->trainStep(tiny::episodes(1, 1, 3), 1e-2, quiet), "gradNorm"), 0) << more;
  }
}

}  // namespace
}  // namespace seprog
