// The baselines that embarrass: an exact table of questions, and the nearest edit put before the question.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>

#include "core/editors/lookup.h"
#include "core/editors/nearest.h"
#include "failure.h"
#include "family_parts.h"

namespace seprog {
namespace {

using namespace tiny;

JobContext quiet;

EditRequests requests(const PairRows& edits) {
  EditRequests all{edits, edits.source, std::vector<std::string>(edits.rows(), "edit")};
  all.editPrefix = edits.source;
  return all;
}

PairRows joined(const PairRows& a, const PairRows& b) {
  PairRows both = a;
  for (auto [side, more] : {std::pair{&both.source, &b.source}, std::pair{&both.target, &b.target}}) {
    side->ids.insert(side->ids.end(), more->ids.begin(), more->ids.end());
    side->lengths.insert(side->lengths.end(), more->lengths.begin(), more->lengths.end());
  }
  return both;
}

class EveryFamilyBaseline : public testing::TestWithParam<Family> {
 protected:
  const std::shared_ptr<const Model> base =
      std::make_shared<const Model>(createModel(GetParam().config(), 1, at::kCPU));
  const std::shared_ptr<Scorer> plain = baseScorer(base);

  bool labels() const { return base->architecture->answerKind() == AnswerKind::Label; }
  PairRows edits(uint64_t seed, int64_t count) const {
    Random random(seed);
    PairRows rows = pairs(random, count);
    if (labels()) rows.target = classes(random, count, base->architecture->targetVocabulary());
    return rows;
  }
};
INSTANTIATE_TEST_SUITE_P(Families, EveryFamilyBaseline, testing::ValuesIn(kFamilies),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(EveryFamilyBaseline, LookupAnswersWhatIsStoredAndLeavesTheRestToTheBase) {
  const PairRows known = edits(3, 4), strange = edits(4, 5);
  const auto editor = makeLookup(Json::parse(R"({"kind": "lookup"})"), base);
  const auto edited = editor->edit(requests(known), plain, quiet);
  const PairRows asked = joined(strange, known);
  const GenerateOptions options{8, !labels()};

  const Generation answers = edited->generate(asked.source, options, quiet);
  TokenRows expected = plain->generate(strange.source, options, quiet).tokens;
  expected.ids.insert(expected.ids.end(), known.target.ids.begin(), known.target.ids.end());
  expected.lengths.insert(expected.lengths.end(), known.target.lengths.begin(), known.target.lengths.end());
  EXPECT_EQ(answers.tokens.ids, expected.ids);
  EXPECT_EQ(answers.tokens.lengths, expected.lengths);
  EXPECT_EQ(answers.scope.selected, (std::vector<int32_t>{-1, -1, -1, -1, -1, 0, 1, 2, 3}));
  EXPECT_EQ(answers.scope.logit, (std::vector<float>{-1, -1, -1, -1, -1, 1, 1, 1, 1}));

  const TokenScores scores = edited->score(asked, quiet), before = plain->score(asked, quiet);
  const auto ofBase = static_cast<int64_t>(strange.target.ids.size());
  for (size_t n = 0; n < scores.logProb.size(); ++n) {
    if (static_cast<int64_t>(n) < ofBase) {
      EXPECT_EQ(scores.logProb[n], before.logProb[n]) << n;  // to the bit
      EXPECT_EQ(scores.argmax[n], before.argmax[n]) << n;
    } else {
      EXPECT_NEAR(scores.logProb[n], -kLookupEpsilon, 1e-7) << n;
      EXPECT_EQ(scores.argmax[n], asked.target.ids[n]) << n;
    }
  }
  const at::Tensor logits = edited->targetLogits(asked, quiet);
  EXPECT_TRUE(at::equal(logits.narrow(0, 0, ofBase), plain->targetLogits(strange, quiet)));
  const at::Tensor p = at::softmax(logits.narrow(0, ofBase, logits.size(0) - ofBase), 1);
  EXPECT_NEAR(p.max().item<double>(), 1 - kLookupEpsilon, 1e-6);
  EXPECT_TRUE(at::allclose(p.sum(1), at::ones({p.size(0)})));
  for (const float kl : compareScorers(*plain, *edited, strange, {}, quiet)) EXPECT_EQ(kl, 0);
}

TEST_P(EveryFamilyBaseline, NearestPutsTheEditBeforeTheQuestion) {
  const PairRows known = edits(3, 4);
  const auto editor = makeNearest(Json::parse(R"({"kind": "nearest"})"), base);
  const auto edited = editor->edit(requests(known), plain, quiet);
  // Asked word for word, an edit is nearest to itself: source behind its own prefix.
  const Generation answers = edited->generate(known.source, {3, !labels()}, quiet);
  EXPECT_EQ(answers.scope.selected, (std::vector<int32_t>{0, 1, 2, 3}));
  for (const float logit : answers.scope.logit) EXPECT_NEAR(logit, 2, 1e-5);
  TokenRows behind;
  const bool seam = base->architecture->answerKind() == AnswerKind::Continuation;
  for (int64_t row = 0; row < known.rows(); ++row) {
    const std::vector<int32_t> ids = slice(known.source, row, 1).ids;
    behind.ids.insert(behind.ids.end(), ids.begin(), ids.end());
    if (seam) behind.ids.push_back(static_cast<int32_t>(base->architecture->stopId()));
    behind.ids.insert(behind.ids.end(), ids.begin(), ids.end());
    behind.lengths.push_back(static_cast<int32_t>(2 * ids.size()) + (seam ? 1 : 0));
  }
  EXPECT_EQ(answers.tokens.ids, plain->generate(behind, {3, !labels()}, quiet).tokens.ids);
  EXPECT_EQ(edited->score(known, quiet).logProb, plain->score({behind, known.target}, quiet).logProb);
  EXPECT_TRUE(
      at::equal(edited->targetLogits(known, quiet), plain->targetLogits({behind, known.target}, quiet)));
}

TEST_P(EveryFamilyBaseline, NearestLeavesAloneWhatIsBelowItsThreshold) {
  const PairRows known = edits(3, 3), strange = edits(4, 5);
  const auto editor = makeNearest(Json::parse(R"({"kind": "nearest", "threshold": 0.99999})"), base);
  const auto edited = editor->edit(requests(known), plain, quiet);
  const PairRows asked = joined(strange, known);
  const TokenScores scores = edited->score(asked, quiet), before = plain->score(strange, quiet);
  for (int64_t b = 0; b < asked.rows(); ++b) EXPECT_EQ(scores.scope.logit[b] > 0, b >= strange.rows()) << b;
  for (size_t n = 0; n < before.logProb.size(); ++n) EXPECT_EQ(scores.logProb[n], before.logProb[n]) << n;
}

TEST(Lookup, WrongTokensAndLongerAnswersStayFinite) {
  const auto base = model();
  const PairRows known{{{5, 6, 1}, {3}}, {{7, 1}, {2}}};
  const auto edited =
      makeLookup(Json::parse(R"({"kind": "lookup"})"), base)->edit(requests(known), baseScorer(base), quiet);
  const PairRows asked{{{5, 6, 1}, {3}}, {{8, 9, 1, 1}, {4}}};
  const TokenScores scores = edited->score(asked, quiet);
  EXPECT_EQ(scores.argmax, (std::vector<int32_t>{7, 1, 1, 1}));
  const double wrong = std::log(kLookupEpsilon / (kVocabulary - 1));
  EXPECT_NEAR(scores.logProb[0], wrong, 1e-4);
  EXPECT_NEAR(scores.logProb[1], wrong, 1e-4);
  EXPECT_NEAR(scores.rowLoss[0], -2 * wrong, 1e-3);
  EXPECT_EQ(edited->generate(asked.source, {1, true}, quiet).tokens.ids, (std::vector<int32_t>{7}));
  EXPECT_EQ(edited->generate(asked.source, {4, false}, quiet).tokens.ids, (std::vector<int32_t>{7, 1, 1, 1}));
}

TEST(Lookup, TheLastOfEqualQuestionsCountsAndTypesAreRead) {
  const auto base = std::make_shared<const Model>(createModel(bertConfig(), 1, at::kCPU));
  const auto editor = makeLookup(Json::parse(R"({"kind": "lookup", "seed": 4})"), base);
  PairRows pair{{{5, 6}, {2}, {0, 1}}, {{1}, {1}}};
  const PairRows untyped{{{5, 6}, {2}}, {{0}, {1}}};
  const auto one = editor->edit(requests(pair), baseScorer(base), quiet);
  const auto answer = [&](const Scorer& scorer, const PairRows& rows) {
    return scorer.generate(rows.source, {1, false}, quiet);
  };
  EXPECT_EQ(answer(*one, untyped).scope.selected.front(), -1);
  const auto two = editor->edit(requests(untyped), one, quiet);
  EXPECT_EQ(answer(*two, untyped).tokens.ids.front(), 0);
  EXPECT_EQ(answer(*two, pair).tokens.ids.front(), 1);
  pair.target.ids = {0};
  const auto three = editor->edit(requests(pair), two, quiet);
  EXPECT_EQ(answer(*three, pair).tokens.ids.front(), 0);
  EXPECT_EQ(answer(*three, pair).scope.selected.front(), 2);
  EXPECT_EQ(answer(*two, pair).tokens.ids.front(), 1) << "what is below stays as it is";
}

TEST(Nearest, ReadsTheViewsOfRows) {
  const auto base = model();
  Random random(7);
  const PairRows known = pairs(random, 3), asked = pairs(random, 2);
  const auto edited = makeNearest(Json::parse(R"({"kind": "nearest"})"), base)
                          ->edit(requests(known), baseScorer(base), quiet);
  RowNotes notes;
  notes.views.classifier = pick(known.source, {2, 0});
  notes.views.counterfactual = pick(known.source, {1, 1});
  const TokenScores scores = edited->score(asked, notes, quiet);
  EXPECT_EQ(scores.scope.selected, (std::vector<int32_t>{2, 0}));
  PairRows behind{{}, asked.target};
  for (const int64_t edit : {2, 0}) {
    for (const int64_t row : {edit, int64_t{1}}) {
      const TokenRows part = slice(known.source, row, 1);
      behind.source.ids.insert(behind.source.ids.end(), part.ids.begin(), part.ids.end());
    }
    behind.source.lengths.push_back(known.source.lengths[edit] + known.source.lengths[1]);
  }
  EXPECT_EQ(scores.logProb, baseScorer(base)->score(behind, quiet).logProb);
  notes.views.classifier = pick(known.source, {0});
  EXPECT_EQ(codeOf([&] { edited->score(asked, notes, quiet); }), ErrorCode::DataInvalid);
}

TEST(Nearest, LongEditsAreCutOnTheLeft) {
  Random random(7);
  for (const auto& [config, opening] : {std::pair{gpt2Config(), 0}, std::pair{bartConfig(), 1}}) {
    const auto base = std::make_shared<const Model>(createModel(config, 1, at::kCPU));
    const bool goesOn = opening == 0;
    PairRows known{rows(random, 1, 22, 22), rows(random, 1, 1, 1)};
    EditRequests request = requests(known);
    const PairRows asked{rows(random, 1, 5, 5), rows(random, 1, 2, 2)};
    const auto edited =
        makeNearest(Json::parse(R"({"kind": "nearest"})"), base)->edit(request, baseScorer(base), quiet);
    const int64_t room = 24 - 6 - (goesOn ? 3 : 0);
    std::vector<int32_t> ids = known.source.ids;
    if (goesOn) ids.push_back(1);
    ids.erase(ids.begin() + opening, ids.end() - room + opening);
    ids.insert(ids.end(), asked.source.ids.begin(), asked.source.ids.end());
    const TokenRows behind{ids, {static_cast<int32_t>(ids.size())}};
    EXPECT_EQ(edited->score(asked, quiet).logProb,
              baseScorer(base)->score({behind, asked.target}, quiet).logProb);
  }
}

TEST(Nearest, ReadsWithAnotherModelsEncoder) {
  const auto base = std::make_shared<const Model>(createModel(gpt2Config(), 1, at::kCPU));
  const Folder folder;
  saveModel(*model(9), folder.path(), "fp32");
  const auto of = [&](const std::string& path) {
    return makeNearest(
        Json::parse(R"({"kind": "nearest", "encoder": {"source": "directory", "path": ")" + path + R"("}})"),
        base);
  };
  Random random(7);
  const PairRows known = pairs(random, 3);
  const auto edited = of(folder.path())->edit(requests(known), baseScorer(base), quiet);
  EXPECT_EQ(edited->score(known, quiet).scope.selected, (std::vector<int32_t>{0, 1, 2}));
  const Folder copy, other;
  saveModel(*model(9), copy.path(), "fp32");
  saveModel(*model(8), other.path(), "fp32");
  EXPECT_EQ(of(copy.path())->fingerprint(), of(folder.path())->fingerprint());
  EXPECT_NE(of(other.path())->fingerprint(), of(folder.path())->fingerprint());
}

TEST(SimpleBaselines, EditsGoOnTopOfTheirOwn) {
  const auto base = model();
  Random random(7);
  const PairRows first = pairs(random, 2), second = pairs(random, 2);
  for (const char* kind : {"lookup", "nearest"}) {
    const auto editor = makeEditor(Json::Object{{"kind", kind}}, base);
    const auto below = editor->edit(requests(first), baseScorer(base), quiet);
    const auto onTop = editor->edit(requests(second), below, quiet);
    const auto atOnce = editor->edit(requests(joined(first, second)), baseScorer(base), quiet);
    const PairRows asked = joined(second, first);
    EXPECT_EQ(onTop->score(asked, quiet).logProb, atOnce->score(asked, quiet).logProb) << kind;
    EXPECT_EQ(onTop->score(asked, quiet).scope.selected, (std::vector<int32_t>{2, 3, 0, 1})) << kind;
    const auto none = editor->edit(requests({}), baseScorer(base), quiet);
    EXPECT_EQ(none->score(asked, quiet).logProb, baseScorer(base)->score(asked, quiet).logProb) << kind;
    EXPECT_EQ(none->score(asked, quiet).scope.selected, (std::vector<int32_t>{-1, -1, -1, -1})) << kind;
    const auto stranger = makeEditor(Json::Object{{"kind", "ft"}}, base);
    EXPECT_EQ(codeOf([&] { stranger->edit(requests(first), onTop, quiet); }), ErrorCode::Unsupported);
    EXPECT_EQ(codeOf([&] { editor->edit(requests(first), baseScorer(model(2)), quiet); }),
              ErrorCode::Unsupported);
    const EpisodeBatch batch = episodes(5, 1, 2);
    EXPECT_EQ(codeOf([&] { editor->trainStep(batch, 1e-3, quiet); }), ErrorCode::Unsupported);
    const Folder folder;
    editor->save(folder.path(), false);
    makeEditor(Json::Object{{"kind", kind}}, base)->restore(folder.path(), false);
    EXPECT_EQ(codeOf([&] {
                makeEditor(Json::Object{{"kind", kind}}, model(2))->restore(folder.path(), false);
              }),
              ErrorCode::CheckpointInvalid);
  }
}

TEST(SimpleBaselines, RefuseWhatTheyCannotRead) {
  const auto base = model();
  Random random(7);
  const PairRows known = pairs(random, 2);
  const auto nearest = makeNearest(Json::parse(R"({"kind": "nearest"})"), base);
  EditRequests without = requests(known);
  without.editPrefix = {};
  expectFailure(ErrorCode::DataInvalid, "`editPrefix`",
                [&] { nearest->edit(without, baseScorer(base), quiet); });
  EditRequests wild = requests(known);
  wild.editPrefix.ids.front() = 4000;
  EXPECT_EQ(codeOf([&] { nearest->edit(wild, baseScorer(base), quiet); }), ErrorCode::DataInvalid);
  const auto lookup = makeLookup(Json::parse(R"({"kind": "lookup"})"), base);
  EditRequests empty = requests(known);
  empty.edits.target = {{}, {0, 0}};
  EXPECT_EQ(codeOf([&] { lookup->edit(empty, baseScorer(base), quiet); }), ErrorCode::DataInvalid);
  JobContext cancelled(std::make_shared<std::atomic<bool>>(true));
  EXPECT_EQ(codeOf([&] { nearest->edit(requests(known), baseScorer(base), cancelled); }), ErrorCode::Aborted);
  for (const char* wrong :
       {R"({"kind": "nearest", "microBatch": 0})", R"({"kind": "nearest", "k": 2})",
        R"({"kind": "nearest", "encoder": {"source": "web"}})", R"({"kind": "lookup", "threshold": 0})"}) {
    EXPECT_EQ(codeOf([&] { makeEditor(Json::parse(wrong), base); }), ErrorCode::ConfigInvalid) << wrong;
  }
}

}  // namespace
}  // namespace seprog
