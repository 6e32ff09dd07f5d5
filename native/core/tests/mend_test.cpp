// The MEND editor: training, checkpoints, edits.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "core/instrument/counting_allocator.h"
#include "core/io/atomic_file.h"
#include "core/io/safetensors.h"
#include "mend_parts.h"

namespace seprog {
namespace {

using namespace tiny;

JobContext quiet;

std::shared_ptr<Editor> editorOf(const std::shared_ptr<const Model>& base, const std::string& more = "") {
  return makeEditor(mendSpec(more), base);
}

std::shared_ptr<const Model> modelOf(const Json& config) {
  return std::make_shared<const Model>(createModel(config, 1, at::kCPU));
}

/// Rewrites one tensor of an editor through its checkpoint.
void rewrite(Editor& editor, const std::string& name,
             const std::function<at::Tensor(const at::Tensor&)>& change) {
  const Folder folder;
  editor.save(folder.path(), false);
  TensorTable table = readSafetensors(folder / "editor.safetensors").tensors;
  table[name] = change(table.at(name)).contiguous();
  writeSafetensors(folder / "editor.safetensors", table);
  editor.restore(folder.path(), false);
}

/// Models whose answers are far enough from uniform to be learned within a few steps.
std::vector<Json> outspoken() {
  return {config(), with(bartConfig(), R"({"init_std": 0.1})"),
          with(bertConfig(), R"({"initializer_range": 0.3})"),
          with(gpt2Config(), R"({"initializer_range": 0.3})")};
}

TEST(Mend, LearnsAFewEditsByHeart) {
  for (const Json& config : outspoken()) {
    SCOPED_TRACE(config.find("model_type")->string());
    const auto base = modelOf(config);
    const auto editor = editorOf(base, R"(, "cEdit": 1, "cLoc": 0.1, "alphaLearningRate": 1e-2)");
    EpisodeBatch batch = mendEpisodes(config, 11, 1, 2);
    const auto answers = [&](const Scorer& scorer) { return scorer.score(batch.edits, quiet).argmax; };
    std::vector<int32_t>& wanted = batch.edits.target.ids;
    if (base->architecture->answerKind() == AnswerKind::Label) {
      const std::vector<int32_t> own = answers(*baseScorer(base));
      for (size_t n = 0; n < wanted.size(); ++n) wanted[n] = 1 - own[n];
    }
    batch.inScope = batch.edits;
    EXPECT_NE(answers(*baseScorer(base)), wanted);
    for (int step = 0; step < 120; ++step) editor->trainStep(batch, 1e-3, quiet);
    EXPECT_EQ(answers(*editor->edit(mendRequests(batch), baseScorer(base), quiet)), wanted);  // ES = 1
  }
}

TEST(Mend, ResumesToTheSameBits) {
  const auto base = tiny::model();
  const Folder folder;
  const auto whole = editorOf(base);
  for (uint64_t step = 0; step < 6; ++step) whole->trainStep(episodes(step, 2, 3), 1e-2, quiet);
  const auto first = editorOf(base);
  for (uint64_t step = 0; step < 3; ++step) first->trainStep(episodes(step, 2, 3), 1e-2, quiet);
  first->save(folder.path(), true);
  const auto second = editorOf(base, R"(, "alphaInit": 0.5)");
  second->restore(folder.path(), true);
  EXPECT_EQ(second->fingerprint(), first->fingerprint());
  for (uint64_t step = 3; step < 6; ++step) second->trainStep(episodes(step, 2, 3), 1e-2, quiet);
  EXPECT_EQ(second->fingerprint(), whole->fingerprint());
}

TEST(Mend, ARestoredEditorEditsAlike) {
  const auto base = tiny::model();
  const EpisodeBatch batch = episodes(2, 1, 3);
  const auto editor = editorOf(base);
  editor->trainStep(batch, 1e-2, quiet);
  const Folder folder;
  editor->save(folder.path(), false);
  const auto restored = editorOf(base);
  restored->restore(folder.path(), false);
  const auto logits = [&](Editor& of) {
    return of.edit(mendRequests(batch), baseScorer(base), quiet)->targetLogits(batch.inScope, quiet);
  };
  EXPECT_TRUE(at::equal(logits(*editor), logits(*restored)));
  EXPECT_FALSE(at::equal(logits(*editor), baseScorer(base)->targetLogits(batch.inScope, quiet)));
}

TEST(Mend, EpisodesOfABatchLearnInOrder) {
  const auto base = tiny::model();
  const EpisodeBatch both = episodes(3, 2, 3);
  const std::vector<EpisodeRows> parts = episodesOf(both);
  const MendParts one(config(), "", false);
  MendParts two = one;
  const auto first = one.step(parts[0]);
  two.statistics = first.statistics;
  const auto second = two.step(parts[1]);
  const auto editor = editorOf(base);
  const Figures figures = editor->trainStep(both, 0, quiet);
  for (const char* name : {"loss", "editLoss", "localityLoss", "innerLoss", "rowAccuracy"}) {
    EXPECT_NEAR(figure(figures, name), (figure(first.figures, name) + figure(second.figures, name)) / 2, 1e-6)
        << name;
  }
  Gradients mean;
  for (const auto& [name, gradient] : first.gradients) {
    mean.emplace(name, (gradient + second.gradients.at(name)) / 2);
  }
  EXPECT_NEAR(figure(figures, "gradNorm"), globalNorm(mean), 1e-5 * globalNorm(mean));
  const Folder folder;
  editor->save(folder.path(), false);
  const TensorTable table = readSafetensors(folder / "editor.safetensors").tensors;
  for (const auto& [name, tensor] : statisticsTable(one.modules, second.statistics)) {
    EXPECT_TRUE(at::equal(table.at(name), tensor)) << name;
  }
}

TEST(Mend, AStepThatFailsLeavesEverythingAsItWas) {
  const auto base = tiny::model();
  const auto editor = editorOf(base), reference = editorOf(base);
  const EpisodeBatch batch = episodes(4, 2, 3);
  const Folder before, after;
  editor->trainStep(batch, 1e-2, quiet);
  reference->trainStep(batch, 1e-2, quiet);
  editor->save(before.path(), true);
  JobContext cancelled(std::make_shared<std::atomic<bool>>(true));
  EXPECT_EQ(codeOf([&] { editor->trainStep(batch, 1e-2, cancelled); }), ErrorCode::Aborted);
  EXPECT_EQ(codeOf([&] { editor->trainStep(batch, {1e-2, -1}, quiet); }), ErrorCode::DataInvalid);
  EXPECT_EQ(codeOf([&] { editor->trainStep(batch, std::numeric_limits<double>::quiet_NaN(), quiet); }),
            ErrorCode::DataInvalid);
  EpisodeBatch spoilt = batch;  // found out when the first episode is over
  spoilt.outScope.target.ids.back() = kVocabulary;
  EXPECT_EQ(codeOf([&] { editor->trainStep(spoilt, 1e-2, quiet); }), ErrorCode::DataInvalid);
  editor->save(after.path(), true);
  for (const char* file :
       {"editor.safetensors", "optimizer.safetensors", "optimizer.alpha.safetensors", "editor.json"}) {
    EXPECT_EQ(readFile(before / file), readFile(after / file)) << file;
  }
  editor->trainStep(batch, 1e-2, quiet);
  reference->trainStep(batch, 1e-2, quiet);
  EXPECT_EQ(editor->fingerprint(), reference->fingerprint());
}

TEST(Mend, NonFiniteLossesChangeNothing) {
  const auto editor = editorOf(tiny::model());
  const EpisodeBatch batch = episodes(4, 1, 3);
  editor->trainStep(batch, 1e-2, quiet);
  rewrite(*editor, "alpha", [](const at::Tensor& t) { return at::full_like(t, 1e38); });
  const std::string fingerprint = editor->fingerprint();
  EXPECT_EQ(codeOf([&] { editor->trainStep(batch, 1e-2, quiet); }), ErrorCode::NonFinite);
  EXPECT_EQ(editor->fingerprint(), fingerprint);
}

TEST(Mend, ValidationAndEditsLearnNothing) {
  const auto base = tiny::model();
  const auto editor = editorOf(base);
  const EpisodeBatch batch = episodes(4, 2, 3);
  EXPECT_EQ(codeOf([&] { editor->validate(batch, quiet); }), ErrorCode::Unsupported);  // no statistics yet
  EXPECT_EQ(codeOf([&] { editor->edit(mendRequests(batch), baseScorer(base), quiet); }),
            ErrorCode::Unsupported);
  editor->trainStep(batch, 1e-2, quiet);
  const std::string fingerprint = editor->fingerprint();
  const uint64_t checksum = base->weights.checksum();
  const Figures figures = editor->validate(batch, quiet);
  EXPECT_GT(figure(figures, "loss"), 0);
  const auto edited = editor->edit(mendRequests(batch), baseScorer(base), quiet);
  EXPECT_GT(figure(edited->editFigures(), "updateNorm"), 0);
  EXPECT_EQ(editor->fingerprint(), fingerprint);
  EXPECT_EQ(base->weights.checksum(), checksum);
}

TEST(Mend, OnlyTheListedMatricesAreReplaced) {
  const MendParts parts(gpt2Config());
  const EpisodeRows episode = parts.episode(3, 2);
  const Statistics statistics = parts.step(episode).statistics;
  EditUpdate update(parts.modules, *parts.base, episode.edits, 0, quiet);
  update.freeze(statistics);
  const TensorTable edited = editedWeights(parts.modules, parts.base->weights, update.pseudoGradients());
  std::vector<std::string> names;
  for (const auto& [name, weight] : edited) {
    names.push_back(name);
    EXPECT_EQ(weight.sizes(), parts.base->weights.at(name).sizes());
    EXPECT_FALSE(at::equal(weight, parts.base->weights.at(name)));
  }
  std::vector<std::string> editable = parts.base->architecture->editableWeights();
  std::sort(editable.begin(), editable.end());
  EXPECT_EQ(names, editable);
}

TEST(Mend, EditsGoOnTopOfEdits) {
  const auto base = tiny::model();
  const auto editor = editorOf(base);
  const EpisodeBatch first = episodes(4, 1, 2), second = episodes(5, 1, 2);
  editor->trainStep(first, 1e-2, quiet);
  const auto once = editor->edit(mendRequests(first), baseScorer(base), quiet);
  const auto twice = editor->edit(mendRequests(second), once, quiet);
  const auto alone = editor->edit(mendRequests(second), baseScorer(base), quiet);
  // The gradient is that of the weights as they have become.
  EXPECT_NE(figure(twice->editFigures(), "innerLoss"), figure(alone->editFigures(), "innerLoss"));
  const TokenScores scores = once->score(second.edits, quiet);
  double loss = 0;
  for (const float logProb : scores.logProb) loss -= logProb;
  EXPECT_NEAR(figure(twice->editFigures(), "innerLoss"), loss / static_cast<double>(scores.logProb.size()),
              1e-5);
  EXPECT_EQ(editor->edit(mendRequests(episodes(1, 1, 0)), once, quiet), once);

  const auto other = editorOf(base);
  other->trainStep(second, 1e-2, quiet);
  EXPECT_EQ(codeOf([&] { other->edit(mendRequests(second), once, quiet); }), ErrorCode::Unsupported);
  EXPECT_EQ(codeOf([&] { editor->edit(mendRequests(second), baseScorer(tiny::model(9)), quiet); }),
            ErrorCode::Unsupported);
}

TEST(Mend, MemoryDoesNotGrowWithTheEdits) {
  installCountingAllocator();
  const Json wide = with(config(), R"({"d_model": 64, "d_ff": 128})");
  const auto base = modelOf(wide);
  const auto peakOf = [&](int64_t edits, const std::string& more) {
    const auto editor = editorOf(base, R"(, "rank": 64, "microBatch": 8)" + more);
    const EpisodeBatch batch = episodes(4, 1, edits);
    editor->trainStep(batch, 1e-3, quiet);
    const int64_t before = takeCpuMemoryCounts().allocatedBytes;
    editor->trainStep(batch, 1e-3, quiet);
    return static_cast<double>(cpuMemoryCounts().peakBytes - before);
  };
  const double few = peakOf(8, R"(, "keepMiB": 0)");
  const double many = peakOf(128, R"(, "keepMiB": 0)");
  EXPECT_LE(many, 1.2 * few);
  EXPECT_LE(peakOf(128, R"(, "keepMiB": 1)"), many + (1 << 20));
  EXPECT_GE(peakOf(128, R"(, "hypergradient": "create_graph")"), 2 * few);  // what the stages save
  EXPECT_GE(peakOf(128, R"(, "keepMiB": 64)"), 2 * few);                    // what keeping takes
}

TEST(Mend, RefusesWhatDoesNotFit) {
  const auto base = tiny::model();
  const auto editor = editorOf(base);
  const auto code = [&](const std::function<void(EpisodeBatch&)>& spoil) {
    EpisodeBatch batch = episodes(1, 2, 3);
    spoil(batch);
    return codeOf([&] { editor->trainStep(batch, 1e-2, quiet); });
  };
  EXPECT_EQ(code([](EpisodeBatch& b) { b.episodes = 4; }), ErrorCode::DataInvalid);
  EXPECT_EQ(code([](EpisodeBatch& b) { b.episodes = 0; }), ErrorCode::DataInvalid);
  EXPECT_EQ(code([](EpisodeBatch& b) { b.regroupings = {6}; }), ErrorCode::Unsupported);
  EXPECT_EQ(code([](EpisodeBatch& b) { b.outScope.source = slice(b.outScope.source, 0, 5); }),
            ErrorCode::DataInvalid);
  EXPECT_EQ(code([](EpisodeBatch& b) { b.inScope.target = slice(b.inScope.target, 0, 5); }),
            ErrorCode::DataInvalid);
  EXPECT_EQ(code([](EpisodeBatch& b) { b.edits.source.ids[0] = kVocabulary; }), ErrorCode::DataInvalid);
  EXPECT_EQ(code([](EpisodeBatch& b) { b.edits.source.lengths[0] += 1; }), ErrorCode::DataInvalid);
  EXPECT_EQ(code([](EpisodeBatch& b) {
              b.edits.target.ids.clear();
              b.edits.target.lengths.assign(6, 0);
            }),
            ErrorCode::DataInvalid);

  EditRequests requests = mendRequests(episodes(1, 1, 3));
  requests.edits.target.lengths[0] += 1;
  editor->trainStep(episodes(1, 2, 3), 1e-2, quiet);
  EXPECT_EQ(codeOf([&] { editor->edit(requests, baseScorer(base), quiet); }), ErrorCode::DataInvalid);

  std::string message;
  EXPECT_EQ(codeOf([&] { editorOf(base, R"(, "hypergradient": "first_order")"); }, &message),
            ErrorCode::ConfigInvalid);
  EXPECT_NE(message.find("`editor.hypergradient`"), std::string::npos) << message;
  for (const char* wrong : {R"(, "rank": 0)", R"(, "microBatch": 0)", R"(, "clipNorm": 0)",
                            R"(, "cEdit": -1)", R"(, "keepMiB": -1)", R"(, "combine": true)"}) {
    EXPECT_EQ(codeOf([&] { editorOf(base, wrong); }), ErrorCode::ConfigInvalid) << wrong;
  }
}

TEST(Mend, ACheckpointOfOtherMeaningIsRefused) {
  const auto base = tiny::model();
  const auto editor = editorOf(base);
  editor->trainStep(episodes(1, 1, 3), 1e-2, quiet);
  const Folder folder;
  editor->save(folder.path(), true);
  const auto code = [&](const std::shared_ptr<const Model>& model, const std::string& more) {
    const auto other = editorOf(model, more);
    const std::string fingerprint = other->fingerprint();
    const ErrorCode found = codeOf([&] { other->restore(folder.path(), true); });
    EXPECT_EQ(other->fingerprint(), fingerprint);
    return found;
  };
  EXPECT_EQ(code(base, R"(, "rank": 8)"), ErrorCode::CheckpointInvalid);
  EXPECT_EQ(code(base, R"(, "shared": false)"), ErrorCode::CheckpointInvalid);
  EXPECT_EQ(code(base, R"(, "descent": false)"), ErrorCode::CheckpointInvalid);
  EXPECT_EQ(code(tiny::model(9), ""), ErrorCode::CheckpointInvalid);
  // Statistics that are there but were said not to be.
  TensorTable table = readSafetensors(folder / "editor.safetensors").tensors;
  std::erase_if(table, [](const auto& entry) { return entry.first.starts_with("stats"); });
  writeSafetensors(folder / "editor.safetensors", table);
  EXPECT_EQ(code(base, ""), ErrorCode::CheckpointInvalid);
}

}  // namespace
}  // namespace seprog
