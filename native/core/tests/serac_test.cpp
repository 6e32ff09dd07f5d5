// SERAC: what its classifier, its memory and its router promise.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/editors/model_scorer.h"
#include "core/editors/serac/scope_classifier.h"
#include "serac_parts.h"

namespace seprog {
namespace {

using namespace tiny;

const char* const kVariants[] = {R"(, "scopeClassifier": "embedding")",
                                 R"(, "scopeClassifier": "cross_attention")"};

RowNotes notesOf(const RowViews& views) { return {{}, views}; }

const RoutedScorer& routed(const std::shared_ptr<Scorer>& scorer) {
  return static_cast<const RoutedScorer&>(*scorer);
}

TEST(Serac, EqualTextsAreAsSimilarAsCanBe) {
  const SeracWorld world;
  const Model classifier = world.models().classifier;
  Random random(1);
  const TokenRows texts = rows(random, 5, 2, 6), others = rows(random, 4, 2, 6);
  const at::Tensor v = embedTexts(classifier, texts, 2, quiet), z = embedTexts(classifier, others, 16, quiet);
  EXPECT_TRUE(at::equal(logSimilarities(v, v).diagonal(), at::zeros({5})));
  EXPECT_LT(logSimilarities(v, z).max().item<float>(), 0);
  EXPECT_TRUE(at::equal(logSimilarities(v, z),
                        logSimilarity(at::repeat_interleave(v, 4, 0), z.repeat({5, 1})).view({5, 4})));
}

TEST(Serac, TheLossWeighsPositivesAndNegativesAlike) {
  // s = 0.8 of the one positive, s = 0.3 of the one negative.
  EXPECT_NEAR(logComplement(at::tensor({std::log(0.3)})).item<double>(), std::log(0.7), 1e-12);
  EXPECT_EQ(logComplement(at::tensor({0.0F})).item<float>(), std::log(std::numeric_limits<float>::epsilon()));

  const SeracWorld world;
  for (const char* variant : kVariants) {
    const EpisodeBatch batch = seracEpisodes(3, 2, 3);
    const auto models = std::make_shared<SeracModels>(world.models(variant));
    const SeracSpec spec = readSeracSpec(world.spec(variant));
    const RoutedScorer scorer(world.base, models, spec,
                              storedEdits(seracRequests(batch), *models, spec, quiet), "");
    const at::Tensor in_BK = scorer.logSimilarities(batch.inScope.source, batch.inScopeViews, quiet);
    const at::Tensor out_BK = scorer.logSimilarities(batch.outScope.source, batch.outScopeViews, quiet);
    const double positives = -in_BK.diagonal().to(at::kDouble).mean().item<double>();
    const at::Tensor terms_BK = at::log1p(-out_BK.to(at::kDouble).exp()).neg();
    const auto scopeLoss = [&](const std::string& more) {
      return figure(world.editor(variant + more)->validate(batch, quiet), "scopeLoss");
    };
    EXPECT_NEAR(scopeLoss(""), positives + terms_BK.diagonal().mean().item<double>(), 1e-5);
    // All pairs of one episode, none of two.
    const double all = (terms_BK.narrow(0, 0, 3).narrow(1, 0, 3).mean().item<double>() +
                        terms_BK.narrow(0, 3, 3).narrow(1, 3, 3).mean().item<double>()) /
                       2;
    EXPECT_NEAR(scopeLoss(R"(, "useAllNegatives": true)"), positives + all, 1e-5);
  }
}

TEST(Serac, ChunksGiveTheLossesOfOne) {
  const SeracWorld world;
  for (const char* variant : kVariants) {
    for (const char* negatives : {"false", "true"}) {
      const auto losses = [&](const char* rows) {
        const std::string more =
            std::string(variant) + R"(, "useAllNegatives": )" + negatives + R"(, "microBatch": )" + rows;
        return seracLosses(world.models(more).tracked(), readSeracSpec(world.spec(more)),
                           seracEpisodes(3, 2, 3), true, quiet);
      };
      const SeracLosses one = losses("1"), all = losses("100");
      for (const auto& [name, value] : all.figures) EXPECT_NEAR(figure(one.figures, name), value, 1e-5);
      EXPECT_EQ(one.gradients.size(), all.gradients.size());
      double largest = 0;
      for (const auto& [name, gradient] : all.gradients)
        largest = std::max(largest, gradient.abs().max().item<double>());
      for (const auto& [name, gradient] : all.gradients) {
        EXPECT_TRUE(at::allclose(one.gradients.at(name), gradient, 1e-3, 1e-6 * largest)) << name;
      }
    }
  }
}

TEST(Serac, AnEmptyMemoryAnswersAsTheBase) {
  const SeracWorld world;
  const EpisodeBatch batch = seracEpisodes(4, 1, 7);
  for (const char* variant : kVariants) {
    const auto editor = world.editor(variant);
    const auto scorer = editor->edit({}, baseScorer(world.base), quiet);
    EXPECT_TRUE(at::equal(scorer->targetLogits(batch.inScope, notesOf(batch.inScopeViews), quiet),
                          baseScorer(world.base)->targetLogits(batch.inScope, quiet)));
    const Generation answers = scorer->generate(batch.inScope.source, {5, true}, quiet);
    EXPECT_EQ(answers.tokens.ids,
              baseScorer(world.base)->generate(batch.inScope.source, {5, true}, quiet).tokens.ids);
    EXPECT_EQ(answers.scope.selected, std::vector<int32_t>(7, -1));
    EXPECT_EQ(answers.scope.logit, std::vector<float>(7, -std::numeric_limits<float>::infinity()));
  }
}

TEST(Serac, RowsGatedOffAreTheBasesToTheBitAndOthersTheCounterfactuals) {
  struct Family {
    Json config;
    bool labels;
  };
  for (const Family& family : {Family{config(), false}, Family{bartConfig(), false},
                               Family{gpt2Config(), false}, Family{bertConfig(), true}}) {
    const SeracWorld world(family.config);
    EpisodeBatch batch = seracEpisodes(4, 1, 12);
    if (family.labels) {
      Random random(8);
      batch.inScope.target = classes(random, 12, 2);
    }
    const RowNotes notes = notesOf(batch.inScopeViews);
    const auto all = world.editor()->edit(seracRequests(batch), baseScorer(world.base), quiet);
    const std::string half = halfInScope(all->score(batch.inScope, notes, quiet).scope.logit);
    const auto scorer = world.editor(half)->edit(seracRequests(batch), baseScorer(world.base), quiet);
    const TokenScores got = scorer->score(batch.inScope, notes, quiet);
    const TokenScores plain = baseScorer(world.base)->score(batch.inScope, quiet);
    std::vector<int64_t> order(12), edits;
    for (int64_t b = 0; b < 12; ++b) {
      order[b] = b;
      edits.push_back(got.scope.selected[b]);
    }
    const PairRows behind{behindEdits(*world.base->architecture, batch.editPrefix, edits,
                                      batch.inScopeViews.counterfactual, order),
                          batch.inScope.target};
    const auto counterfactual =
        baseScorer(std::make_shared<const Model>(loadModel(world.counterfactual.path(), at::kCPU)));
    const TokenScores edited = counterfactual->score(behind, quiet);
    const Generation answers = scorer->generate(batch.inScope.source, notes, {4, true}, quiet);
    EXPECT_EQ(answers.scope.logit, got.scope.logit);
    const at::Tensor logits_NV = scorer->targetLogits(batch.inScope, notes, quiet);
    const auto single = [](const TokenRows& tokens, int64_t row) { return slice(tokens, row, 1).ids; };
    int inScope = 0;
    for (int64_t b = 0; b < 12; ++b) {
      const bool isIn = got.scope.logit[b] > 0;
      inScope += isIn ? 1 : 0;
      EXPECT_EQ(got.rowLoss[b], (isIn ? edited : plain).rowLoss[b]);
      const auto asked = isIn ? slice(behind.source, b, 1) : slice(batch.inScope.source, b, 1);
      EXPECT_EQ(
          single(answers.tokens, b),
          (isIn ? counterfactual : baseScorer(world.base))->generate(asked, {4, true}, quiet).tokens.ids);
    }
    EXPECT_EQ(inScope, 6);
    const at::Tensor logProb =
        at::log_softmax(logits_NV, 1).gather(1, at::tensor(batch.inScope.target.ids, at::kLong).unsqueeze(1));
    EXPECT_TRUE(at::allclose(logProb.squeeze(1), at::tensor(got.logProb), 1e-4, 1e-5));
  }
}

TEST(Serac, AFurtherEditChangesNothingForRowsItIsNotRetrievedFor) {
  const SeracWorld world;
  const EpisodeBatch batch = seracEpisodes(4, 1, 6);
  const RowNotes notes = notesOf(batch.inScopeViews);
  for (const char* variant : kVariants) {
    const auto editor = world.editor(std::string(variant) + R"(, "threshold": 1e-12)");
    const auto one = editor->edit(seracRequests(batch), baseScorer(world.base), quiet);
    const TokenScores before = one->score(batch.inScope, notes, quiet);
    int unchanged = 0;
    for (uint64_t seed = 9; seed < 15; ++seed) {
      const auto two = editor->edit(seracRequests(seracEpisodes(seed, 1, 1)), one, quiet);
      EXPECT_EQ(routed(two).edits().size(), 7);
      const TokenScores after = two->score(batch.inScope, notes, quiet);
      for (int64_t b = 0; b < 6; ++b) {
        if (before.scope.selected[b] != after.scope.selected[b]) continue;
        ++unchanged;
        EXPECT_EQ(before.scope.logit[b], after.scope.logit[b]);
        EXPECT_EQ(before.rowLoss[b], after.rowLoss[b]);
      }
    }
    EXPECT_GT(unchanged, 6);
  }
}

TEST(Serac, TheOrderOfTheMemoryDoesNotMatter) {
  const SeracWorld world;
  const EpisodeBatch batch = seracEpisodes(4, 1, 5);
  const std::vector<int64_t> order = {3, 0, 4, 2, 1};
  EpisodeBatch turned = batch;
  turned.editText = pick(batch.editText, order);
  turned.editPrefix = pick(batch.editPrefix, order);
  for (const char* variant : kVariants) {
    const auto editor = world.editor(std::string(variant) + R"(, "threshold": 1e-12)");
    const RowNotes notes = notesOf(batch.inScopeViews);
    const auto ask = [&](const EpisodeBatch& edits) {
      return editor->edit(seracRequests(edits), baseScorer(world.base), quiet)
          ->score(batch.inScope, notes, quiet);
    };
    const TokenScores a = ask(batch), b = ask(turned);
    EXPECT_EQ(a.scope.logit, b.scope.logit);
    EXPECT_EQ(a.rowLoss, b.rowLoss);
    for (size_t row = 0; row < 5; ++row) EXPECT_EQ(a.scope.selected[row], order[b.scope.selected[row]]);
  }
}

TEST(Serac, ChunksOfPairsGiveTheSimilaritiesOfOne) {
  const SeracWorld world;
  const EpisodeBatch batch = seracEpisodes(4, 1, 5);
  const auto similarities = [&](const char* rows) {
    const auto editor =
        world.editor(std::string(R"(, "scopeClassifier": "cross_attention", "microBatch": )") + rows);
    return routed(editor->edit(seracRequests(batch), baseScorer(world.base), quiet))
        .logSimilarities(batch.inScope.source, batch.inScopeViews, quiet);
  };
  EXPECT_TRUE(at::equal(similarities("1"), similarities("100")));
  EXPECT_TRUE(at::equal(similarities("7"), similarities("100")));
}

TEST(Serac, SoftWeightingMixesBothAnswers) {
  const SeracWorld world;
  const EpisodeBatch batch = seracEpisodes(4, 1, 6);
  const RowNotes notes = notesOf(batch.inScopeViews);
  const auto scorerOf = [&](const std::string& more) {
    return world.editor(more)->edit(seracRequests(batch), baseScorer(world.base), quiet);
  };
  const TokenScores mixed = scorerOf(R"(, "softWeighting": true)")->score(batch.inScope, notes, quiet);
  const TokenScores edited = scorerOf(R"(, "threshold": 1e-30)")->score(batch.inScope, notes, quiet);
  const TokenScores plain = baseScorer(world.base)->score(batch.inScope, quiet);
  size_t n = 0;
  for (size_t b = 0; b < 6; ++b) {
    const double beta = 1.0 / (1.0 + std::exp(-static_cast<double>(mixed.scope.logit[b])));
    for (int32_t t = 0; t < batch.inScope.target.lengths[b]; ++t, ++n) {
      const double p = beta * std::exp(edited.logProb[n]) + (1 - beta) * std::exp(plain.logProb[n]);
      EXPECT_NEAR(std::exp(mixed.logProb[n]), p, 1e-5);
    }
  }
  const auto scorer = scorerOf(R"(, "softWeighting": true)");
  EXPECT_EQ(scorer->generate(batch.inScope.source, notes, {4, true}, quiet).tokens.rows(), 6);
}

TEST(Serac, RowsWithoutViewsAreReadAsTheBaseReadsThem) {
  const SeracWorld world;
  const EpisodeBatch batch = seracEpisodes(4, 1, 5, false);
  RowViews same{batch.inScope.source, batch.inScope.source};
  const auto scorer =
      world.editor(R"(, "threshold": 1e-12)")->edit(seracRequests(batch), baseScorer(world.base), quiet);
  EXPECT_EQ(scorer->score(batch.inScope, quiet).rowLoss,
            scorer->score(batch.inScope, notesOf(same), quiet).rowLoss);
}

TEST(Serac, TextsAreJoinedById) {
  const TokenRows edits{{4, 5, 6}, {2, 1}}, inputs{{2, 7, 8, 1}, {2, 2}};
  const SeracWorld t5, gpt2(gpt2Config());
  const TokenRows behind = behindEdits(*t5.base->architecture, edits, {1, 0}, inputs, {0, 1});
  EXPECT_EQ(behind.ids, (std::vector<int32_t>{6, 2, 7, 4, 5, 8, 1}));
  EXPECT_EQ(behind.lengths, (std::vector<int32_t>{3, 4}));
  // The end of text stands between an edit and what a GPT-2 goes on with.
  const TokenRows continued = behindEdits(*gpt2.base->architecture, edits, {1, 0}, inputs, {0, 1});
  EXPECT_EQ(continued.ids, (std::vector<int32_t>{6, 1, 2, 7, 4, 5, 1, 8, 1}));
  EXPECT_EQ(continued.lengths, (std::vector<int32_t>{4, 5}));
  const TokenRows pairs = pairTexts(edits, {0, 1}, inputs, {0, 0});  // [CLS] of an input goes
  EXPECT_EQ(pairs.ids, (std::vector<int32_t>{4, 5, 7, 6, 7}));
  EXPECT_EQ(pairs.lengths, (std::vector<int32_t>{3, 2}));
}

TEST(Serac, EditsOnlyWhatItCan) {
  const SeracWorld world;
  const auto editor = world.editor(), other = world.editor(R"(, "scopeClassifier": "cross_attention")");
  const EpisodeBatch batch = seracEpisodes(4, 1, 3);
  const EditRequests requests = seracRequests(batch);
  const auto ofOther = other->edit(requests, baseScorer(world.base), quiet);
  EXPECT_EQ(codeOf([&] { editor->edit(requests, ofOther, quiet); }), ErrorCode::Unsupported);
  EXPECT_EQ(codeOf([&] { editor->edit(requests, baseScorer(model(2)), quiet); }), ErrorCode::Unsupported);
  EditRequests bare = requests;
  bare.editPrefix = {};
  EXPECT_EQ(codeOf([&] { editor->edit(bare, baseScorer(world.base), quiet); }), ErrorCode::DataInvalid);
  EpisodeBatch lacking = batch;
  lacking.editPrefix = {};
  EXPECT_EQ(codeOf([&] { editor->trainStep(lacking, 1e-3, quiet); }), ErrorCode::DataInvalid);
  const auto scorer = editor->edit(requests, baseScorer(world.base), quiet);
  EXPECT_EQ(codeOf([&] {
              scorer->score(batch.inScope, notesOf({slice(batch.inScope.source, 0, 2), {}}), quiet);
            }),
            ErrorCode::DataInvalid);
}

TEST(Serac, OptionsAreDecodedOnceAndStrictly) {
  const SeracWorld world;
  const auto message = [&](const std::string& more, ErrorCode code = ErrorCode::ConfigInvalid) {
    std::string text;
    EXPECT_EQ(codeOf([&] { world.editor(more); }, &text), code) << more;
    return text;
  };
  EXPECT_NE(message(R"(, "threshold": 1)").find("`editor.threshold`"), std::string::npos);
  EXPECT_NE(message(R"(, "cEdit": -1)").find("`editor.cEdit`"), std::string::npos);
  EXPECT_NE(message(R"(, "microBatch": 0)").find("`editor.microBatch`"), std::string::npos);
  EXPECT_NE(message(R"(, "scopeclassifier": "embedding")").find("`editor.scopeclassifier`"),
            std::string::npos);
  const auto refused = [&](const Json& spec) {
    std::string text;
    EXPECT_EQ(codeOf([&] { makeSerac(spec, world.base); }, &text), ErrorCode::Unsupported);
    return text;
  };
  // A T5 has no token that stands for a text; the counterfactual model must speak the base's vocabulary.
  EXPECT_NE(refused(Json::parse(R"({"kind": "serac"})")).find("`editor.classifier`"), std::string::npos);
  const SeracWorld wide(with(config(), R"({"vocab_size": 70})"));
  EXPECT_NE(refused(wide.spec()).find("`editor.counterfactual`"), std::string::npos);
}

TEST(Serac, AnyEncoderOfTheBertKindServesAsClassifierAndTheBaseAsCounterfactual) {
  const ModelFolder oneLogit(bertConfig(), 3);
  const auto base = tiny::model();
  const EpisodeBatch batch = seracEpisodes(4, 1, 4);
  for (const char* variant : kVariants) {
    const auto editor =
        makeSerac(Json::parse(R"({"kind": "serac", "classifier": {"source": "directory", "path": ")" +
                              oneLogit.path() + "\"}" + variant + "}"),
                  base);
    EXPECT_GT(figure(editor->trainStep(batch, 1e-3, quiet), "gradNorm"), 0);
  }
  // A base that is such an encoder may be both.
  const auto bert = std::make_shared<const Model>(createModel(bertConfig(), 1, at::kCPU));
  EpisodeBatch labelled = batch;
  Random random(5);
  labelled.inScope.target = classes(random, 4, 2);
  for (const char* variant : kVariants) {
    const auto editor = makeSerac(Json::parse(std::string(R"({"kind": "serac")") + variant + "}"), bert);
    EXPECT_GT(figure(editor->trainStep(labelled, 1e-3, quiet), "gradNorm"), 0);
  }
}

}  // namespace
}  // namespace seprog
