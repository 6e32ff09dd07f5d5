// FLOPs of whole operations of every method against closed forms: training steps, edits, inference. B rows, K edits, S
// source and T target columns; else as in flop_forms.h.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/editors/model_scorer.h"
#include "core/editors/seprog/seprog.h"
#include "core/train/leaf_gradients.h"
#include "core/train/losses.h"
#include "flop_forms.h"
#include "serac_parts.h"

namespace seprog {
namespace {

using namespace tiny;

constexpr int64_t B = 16, S = 16, T = 16;

FlopCounts flopsOf(const std::function<void()>& action) {
  const FlopCounter counter;
  action();
  return counter.counts();
}

void expectForm(const FlopCounts& counted, const FlopCounts& form) {
  EXPECT_EQ(counted.forward, form.forward);
  EXPECT_EQ(counted.backward, form.backward);
  EXPECT_EQ(counted.secondOrder, form.secondOrder);
}

FlopCounts operator*(int64_t times, const FlopCounts& flops) {
  return {times * flops.forward, times * flops.backward, times * flops.secondOrder};
}
FlopCounts& operator+=(FlopCounts& sum, const FlopCounts& more) { return sum = sum + more; }

class Family : public testing::TestWithParam<const char*> {
 protected:
  const FamilyForm& form() const { return *form_; }
  bool labels() const { return base->architecture->answerKind() == AnswerKind::Label; }

  static TokenRows texts(Random& random, int64_t count, int64_t length) {
    return tiny::rows(random, count, length - 1, length - 1);
  }
  PairRows pairs(Random& random, int64_t count) const {
    const TokenRows source = texts(random, count, S);
    return {source, labels() ? classes(random, count, form().V) : texts(random, count, T)};
  }
  EpisodeBatch episode(int64_t edits = B, uint64_t seed = 5) const {
    Random random(seed);
    EpisodeBatch batch;
    batch.edits = pairs(random, edits);
    batch.editText = texts(random, edits, S);
    batch.inScope = pairs(random, edits);
    batch.outScope = pairs(random, edits);
    batch.editPrefix = texts(random, edits, S);
    return batch;
  }
  static EditRequests requests(const EpisodeBatch& batch) {
    return {batch.edits, batch.editText, std::vector<std::string>(batch.editText.rows(), "edit"),
            batch.editPrefix};
  }
  std::shared_ptr<Editor> editor(const std::string& spec) const {
    return makeEditor(Json::parse(spec), base);
  }

  /// Walks through `walk` for these wants.
  static FlopCounts walked(Wanted wanted, const std::function<void(PassForm&)>& walk,
                           PassForm::Of of = PassForm::Of::Weights) {
    PassForm pass(std::move(wanted), of);
    walk(pass);
    return pass.flops;
  }
  FlopCounts encoded(int64_t rows, int64_t columns = S) const {
    return walked(none, [&](PassForm& pass) { form().encode(pass, rows, columns); });
  }
  /// A loss on rows by hand from the states on, in chunks of 16 rows: what editLoss() does.
  FlopCounts loss(Wanted wanted, int64_t rows, bool withGradients, int64_t columns = S) const {
    const int64_t chunk = std::min<int64_t>(rows, 16);
    return rows / chunk * walked(std::move(wanted), [&](PassForm& pass) {
             form().whole(pass, chunk, columns, T);
             form().byHand(pass, form().targets(chunk, T), withGradients);
           });
  }
  /// The reference's states and head, then a divergence from them.
  FlopCounts divergence(const Wanted& wanted, int64_t rows) const {
    return walked(none, [&](PassForm& pass) { form().whole(pass, rows, S, T); }) + againstGiven(wanted, rows);
  }
  FlopCounts againstGiven(Wanted wanted, int64_t rows) const {
    return walked(none, [&](PassForm& pass) { form().byHand(pass, form().targets(rows, T), false); }) +
           loss(std::move(wanted), rows, true);
  }
  FlopCounts generated(int64_t rows, int64_t P, int64_t tokens, int64_t columns = S) const {
    return walked(none, [&](PassForm& pass) { form().generate(pass, rows, columns, P, tokens); });
  }

  std::unique_ptr<const FamilyForm> form_ = formOf(GetParam());
  std::shared_ptr<const Model> base =
      std::make_shared<const Model>(createModel(form_->config(), 1, at::kCPU));
};
INSTANTIATE_TEST_SUITE_P(Flops, Family, testing::Values("T5", "Bert"),
                         [](const auto& info) { return std::string(info.param); });

/// One product of N rows forward, and so many backward.
FlopCounts product(int64_t N, int64_t I, int64_t O, int64_t gradients = 0) {
  return {2 * N * I * O, 2 * N * I * O * gradients, 0};
}

// ---- The parts ----

TEST_P(Family, EncodingForwardAndBackward) {
  Random random(3);
  const Architecture& family = *base->architecture;
  const TokenBatch source = pad(texts(random, B, S), family.padId(), family.vocabulary(), at::kCPU);
  expectForm(flopsOf([&] {
               at::NoGradGuard noGrad;
               family.encode(base->weights, source);
             }),
             encoded(B));
  const auto differentiated = [&](const Wanted& wanted) {
    TensorTable table;
    std::vector<at::Tensor> leaves;
    for (const auto& [name, tensor] : base->weights.flatten()) {
      table[name] = tensor.detach().set_requires_grad(wanted(name));
      if (wanted(name)) leaves.push_back(table[name]);
    }
    return flopsOf([&] {
      const at::Tensor h_BSD = family.encode(Weights(table), source).h_BSD;
      torch::autograd::grad({h_BSD.sum()}, leaves, {}, std::nullopt, false, true);
    });
  };
  for (const Wanted& wanted : {Wanted(all), form().wantsEdited()}) {
    expectForm(differentiated(wanted), walked(wanted, [&](PassForm& pass) { form().encode(pass, B, S); }));
  }
}

TEST_P(Family, AFewRowsAreFilledUp) {
  const auto scorer = baseScorer(base);
  for (const int64_t rows : {1, 3, 17}) {
    Random random(3);
    const PairRows batch = pairs(random, rows);
    expectForm(flopsOf([&] { scorer->score(batch, quiet); }), walked(none, [&](PassForm& pass) {
                 form().whole(pass, rows, S, T);
                 form().byHand(pass, form().targets(rows, T), false);
               }));
  }
}

TEST_P(Family, TheBaseGenerates) {
  Random random(3);
  const TokenRows source = texts(random, B, S);
  expectForm(flopsOf([&] {
               baseScorer(base)->generate(source, {5, false}, quiet);
             }),
             encoded(B) + generated(B, 0, 5));
}

// ---- SEPROG: a frozen base, so nothing of second order ----

constexpr int64_t kPrompt = 4, kHidden = 24;
const std::string kSeprog = R"({"kind": "seprog", "seed": 3, "promptLength": 4, "hiddenWidth": 24})";

FlopCounts scopeHead(const FamilyForm& form, int64_t rows, int64_t gradients) {
  return product(rows, kHidden + form.D, kHidden, gradients) + product(rows, kHidden, kHidden, gradients) +
         product(rows, kHidden, 1, gradients);
}
FlopCounts promptHead(const FamilyForm& form, int64_t rows, int64_t gradients) {
  return product(rows, kHidden, kHidden, gradients) + product(rows, kHidden, kPrompt * form.D, gradients);
}

TEST_P(Family, SeprogTrains) {
  const auto trained = editor(kSeprog);
  const EpisodeBatch batch = episode();
  FlopCounts expected = encoded(2 * B);  // the base on inputs in and out of scope
  expected +=
      walked(all, [&](PassForm& pass) { form().encode(pass, B, S); }) + product(B, form().D, kHidden, 2);
  expected += product(2 * B, form().D, kHidden, 1);  // queries; what is pooled is a constant
  expected += 2 * product(2 * B, kHidden, B, 2);     // α, h
  expected += scopeHead(form(), 2 * B, 2) + promptHead(form(), B, 2);
  expected += walked(none, [&](PassForm& pass) {
    form().answer(pass, B, S, T, kPrompt, false);
    form().byHand(pass, form().targets(B, T), true);
  });
  expectForm(flopsOf([&] { trained->trainStep(batch, 1e-3, quiet); }), expected);
}

TEST_P(Family, SeprogEditsAndPredicts) {
  const auto trained = std::dynamic_pointer_cast<SeprogEditor>(editor(kSeprog));
  const EpisodeBatch batch = episode();
  std::shared_ptr<Scorer> edited;
  expectForm(flopsOf([&] { edited = trained->edit(requests(batch), baseScorer(base), quiet); }),
             encoded(B) + product(B, form().D, kHidden));
  auto memory = std::make_shared<EditMemory>(kHidden, trained->fingerprint());
  memory->add(requests(batch).labels, trained->embed(batch.editText, quiet));
  const auto prompted = trained->withMemory(memory, "always");
  const FlopCounts decided =
      encoded(B) + product(B, form().D, kHidden) + 2 * product(B, kHidden, B) + scopeHead(form(), B, 0);
  expectForm(flopsOf([&] {
               prompted->generate(batch.inScope.source, {5, false}, quiet);
             }),
             decided + promptHead(form(), B, 0) + generated(B, kPrompt, 5));
  // Nothing is in the scope of no edit: the base's own path.
  const auto empty =
      trained->withMemory(std::make_shared<EditMemory>(kHidden, trained->fingerprint()), "scope");
  expectForm(flopsOf([&] {
               empty->generate(batch.inScope.source, {5, false}, quiet);
             }),
             encoded(B) + generated(B, 0, 5));
}

// ---- FT: gradient steps at edit time ----

TEST_P(Family, FtEdits) {
  const EpisodeBatch batch = episode();
  const std::string spec = R"({"kind": "ft", "maxSteps": 2, "editLearningRate": 1e-9)";
  const auto edit = [&](const std::string& more) {
    return flopsOf([&] {
      const auto edited = editor(spec + more + "}")->edit(requests(batch), baseScorer(base), quiet);
      ASSERT_EQ(figure(edited->editFigures(), "steps"), 2);
    });
  };
  const FlopCounts whole = 2 * loss(form().wantsEdited(), B, true) + loss(none, B, false);
  expectForm(edit(""), whole);
  FlopCounts factors;
  // R = u v for two steps, the result and its norm; of either factor a gradient a step.
  for (const auto& [name, shape] : form().edited) {
    factors += 4 * product(2, shape.first, shape.second);
    factors.backward += 2 * 2 * 2 * 2 * shape.first * shape.second;
  }
  expectForm(edit(R"(, "rank": 2)"), whole + factors);
}

// ---- ENN: the hypergradient of an inner step is the one second order there is ----

FlopCounts backwardOf(const FlopCounts& flops) { return {0, flops.backward, 0}; }

TEST_P(Family, EnnTrains) {
  const EpisodeBatch batch = episode();
  FlopCounts expected = loss(form().wantsEdited(), B, true);  // inner step
  expected += loss(all, B, true);                             // in scope
  expected += divergence(all, B) + againstGiven(all, B);      // original against trained against edited
  const auto inGraph = [&](const Wanted& wanted, bool scoresAgain) {
    return walked(wanted, [&](PassForm& pass) {
      pass.scoresAgain = scoresAgain;
      const bool x = form().whole(pass, B, S, T);
      pass.linear(form().head, form().targets(B, T), form().D, form().V, x);
    });
  };
  FlopCounts firstOrder = expected;
  for (const auto& [name, shape] : form().edited)
    firstOrder.forward += 2 * shape.first * shape.second;  // rates
  // The inner loss once more: its gradient with a graph, two products of that graph for each of the gradient, and
  // what they leave at the states and weights goes back through the whole pass.
  const FlopCounts graph = inGraph(all, false), gradient = inGraph(form().wantsEdited(), true);
  expected = firstOrder + graph + backwardOf(gradient);
  expected.secondOrder += 2 * gradient.backward;
  expectForm(flopsOf([&] { editor(R"({"kind": "enn"})")->trainStep(batch, 1e-4, quiet); }), expected);
  expectForm(
      flopsOf([&] { editor(R"({"kind": "enn", "firstOrder": true})")->trainStep(batch, 1e-4, quiet); }),
      firstOrder);
}

TEST_P(Family, EnnEditsAndAnswersAsTheBaseDoes) {
  const EpisodeBatch batch = episode();
  const auto trained = editor(R"({"kind": "enn"})");
  std::shared_ptr<Scorer> edited;
  expectForm(flopsOf([&] { edited = trained->edit(requests(batch), baseScorer(base), quiet); }),
             loss(form().wantsEdited(), B, true));
  expectForm(flopsOf([&] {
               edited->generate(batch.inScope.source, {5, false}, quiet);
             }),
             encoded(B) + generated(B, 0, 5));
}

// ---- MEND: networks on the factors of gradients ----

constexpr int64_t kRank = 12;

/// The networks of every matrix on its factors, and what they make added up to a matrix.
struct MendForm {
  explicit MendForm(const FamilyForm& form) {
    for (const auto& [name, shape] : form.edited) {
      const auto [I, O] = shape;
      const int64_t rows = form.factorRows(name, B, S, T);
      networks += 4 * product(rows, I + O, kRank);
      updates += product(rows, I, O);
      // Of u and δ from the update; of U, V and the states between them; not of the factors.
      backward.backward += 2 * 2 * rows * I * O + 7 * 2 * rows * (I + O) * kRank;
    }
  }
  FlopCounts networks, updates, backward;
};

TEST_P(Family, MendTrains) {
  const EpisodeBatch batch = episode();
  const MendForm mend(form());
  const FlopCounts factors = walked(
      form().wantsEdited(),
      [&](PassForm& pass) {
        form().whole(pass, B, S, T);
        pass.head(form().head + " of no gradient", form().targets(B, T), form().D, form().V, true);
      },
      PassForm::Of::Outputs);
  const FlopCounts outer = loss(form().wantsEdited(), B, true) + divergence(form().wantsEdited(), B);
  const auto step = [&](const std::string& more) {
    return flopsOf([&] {
      editor(R"({"kind": "mend", "seed": 3, "rank": 12)" + more + "}")->trainStep(batch, 1e-4, quiet);
    });
  };
  expectForm(step(""), factors + mend.networks + mend.updates + outer + mend.backward);
  // What is not kept is computed again: factors for statistics, update and backward pass.
  expectForm(step(R"(, "keepMiB": 0)"),
             3 * factors + 2 * mend.networks + mend.updates + outer + mend.backward);
}

TEST_P(Family, MendEdits) {
  const EpisodeBatch batch = episode();
  const MendForm mend(form());
  const auto trained = editor(R"({"kind": "mend", "seed": 3, "rank": 12})");
  trained->trainStep(batch, 1e-4, quiet);
  const FlopCounts factors = walked(
      form().wantsEdited(),
      [&](PassForm& pass) {
        form().whole(pass, B, S, T);
        form().byHand(pass, form().targets(B, T), true);
      },
      PassForm::Of::Outputs);
  expectForm(flopsOf([&] { trained->edit(requests(batch), baseScorer(base), quiet); }),
             factors + mend.networks + mend.updates);
}

// ---- SLAG: gradient steps shaped by a network, edit after edit ----

constexpr int64_t kLstm = 20, kCondition = 28, kConditioner = 36;
const std::string kSlag =
    R"({"kind": "slag", "seed": 3, "innerSteps": 2, "lstmWidth": 20, "conditionWidth": 28,
    "conditionerWidth": 36, "otherRows": 2, "sequentialTrain": 2})";

FlopCounts conditionForm(const FamilyForm& form, int64_t rows, bool withGradients) {
  const int64_t gradients = withGradients ? 2 : 0;
  FlopCounts direction = product(rows * S, form.D, 4 * kLstm, gradients);
  direction += product(rows * S, kLstm, 4 * kLstm, gradients);
  // The first state of a direction is a constant.
  if (withGradients) direction.backward -= 2 * rows * kLstm * 4 * kLstm;
  return 2 * direction + product(rows, 2 * kLstm, kCondition, gradients);
}
FlopCounts rulesForm(const FamilyForm& form, bool withGradients) {
  FlopCounts rules;
  for (const auto& [name, shape] : form.edited) {
    rules += product(1, kCondition, kConditioner, withGradients ? 2 : 0);
    rules += product(1, kConditioner, 2 * (shape.first + shape.second) + 1, withGradients ? 2 : 0);
  }
  return rules;
}

TEST_P(Family, SlagTrains) {
  constexpr int64_t K = 2, steps = 2, others = 2;
  const EpisodeBatch batch = episode(K, 8);
  const Wanted edited = form().wantsEdited();
  // In front of the first step and behind each: the loss of the edit; behind each, that of its paraphrase and the
  // divergence of other rows, in one pass.
  FlopCounts ofEdit = rulesForm(form(), true) + (steps + 1) * loss(edited, 1, true);
  const auto together = [&](const Wanted& wanted) {
    return walked(wanted, [&](PassForm& pass) { form().whole(pass, 1 + others, S, T); });
  };
  const auto head = [&](int64_t rows, bool withGradients) {
    return walked(none, [&](PassForm& pass) { form().byHand(pass, form().targets(rows, T), withGradients); });
  };
  ofEdit +=
      together(none) + steps * (together(edited) + head(1, true) + head(others, false) + head(others, true));
  for (const auto& [name, shape] :
       form().edited) {  // ⟨v, Δ⟩ of two sums, with a gradient for a vector of each
    const auto [I, O] = shape;
    ofEdit += 2 * product(1, I, O, 1) + 2 * product(1, O, 1);
  }
  Figures figures;
  const FlopCounts counted = flopsOf([&] { figures = editor(kSlag)->trainStep(batch, 1e-4, quiet); });
  ASSERT_EQ(figure(figures, "innerSteps"), steps);
  expectForm(counted, conditionForm(form(), K, true) + K * ofEdit);
}

TEST_P(Family, SlagEdits) {
  constexpr int64_t K = 2;
  const EpisodeBatch batch = episode(K, 8);
  std::shared_ptr<Scorer> edited;
  const FlopCounts counted =
      flopsOf([&] { edited = editor(kSlag)->edit(requests(batch), baseScorer(base), quiet); });
  ASSERT_EQ(figure(edited->editFigures(), "steps"), 2);
  expectForm(counted, K * (conditionForm(form(), 1, false) + rulesForm(form(), false) +
                           2 * loss(form().wantsEdited(), 1, true) + loss(none, 1, false)));
}

// ---- SERAC: two models beside the base ----

TEST_P(Family, SeracTrains) {
  const BertForm classifier;
  const SeracWorld world(form().config(), classifier.config());
  const EpisodeBatch batch = episode();
  const auto scope = [&](const Wanted& wanted) {
    return walked(wanted, [&](PassForm& pass) { classifier.encode(pass, 3 * B, S); });
  };
  // The counterfactual model reads an input behind an edit; of edits and inputs embeddings are made twice, the second
  // time with a graph.
  expectForm(flopsOf([&] { world.editor()->trainStep(batch, 1e-4, quiet); }),
             loss(all, B, true, 2 * S) + scope(none) + scope(all));
}

TEST_P(Family, SeracEditsAndPredicts) {
  const BertForm classifier;
  const SeracWorld world(form().config(), classifier.config());
  const EpisodeBatch batch = episode();
  const FlopCounts embedded = walked(none, [&](PassForm& pass) { classifier.encode(pass, B, S); });
  const auto predict = [&](const char* threshold, int64_t inScope) {
    const auto trained = world.editor(std::string(R"(, "threshold": )") + threshold);
    std::shared_ptr<Scorer> edited;
    expectForm(flopsOf([&] { edited = trained->edit(requests(batch), baseScorer(world.base), quiet); }),
               embedded);
    Generation generation;
    const FlopCounts counted = flopsOf([&] {
      generation = edited->generate(batch.inScope.source, {5, false}, quiet);
    });
    const auto& logits = generation.scope.logit;
    EXPECT_EQ(std::count_if(logits.begin(), logits.end(), [](float logit) { return logit > 0; }), inScope);
    return counted;
  };
  expectForm(predict("0.999999", 0), embedded + encoded(B) + generated(B, 0, 5));
  expectForm(predict("1e-300", B), embedded + encoded(B, 2 * S) + generated(B, 0, 5, 2 * S));
}

// ---- Nearest: an edit in front of the input ----

TEST_P(Family, NearestEditsAndPredicts) {
  const EpisodeBatch batch = episode();
  std::shared_ptr<Scorer> edited;
  expectForm(flopsOf([&] {
               edited = editor(R"({"kind": "nearest"})")->edit(requests(batch), baseScorer(base), quiet);
             }),
             encoded(B));
  expectForm(flopsOf([&] {
               edited->generate(batch.inScope.source, {5, false}, quiet);
             }),
             encoded(B) + product(B, form().D, B) + encoded(B, 2 * S) + generated(B, 0, 5, 2 * S));
}

}  // namespace
}  // namespace seprog
