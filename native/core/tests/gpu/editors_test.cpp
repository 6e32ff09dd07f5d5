// Every editor on the device against the CPU: the losses of training steps, and what the edited model answers.
#include <string>
#include <vector>

#include "core/editors/editor.h"
#include "core/instrument/meter.h"
#include "core/tests/serac_parts.h"
#include "core/train/fine_tuner.h"
#include "device_under_test.h"

namespace seprog::gpu {
namespace {

using tiny::quiet;

struct Subject {
  const char* kind;
  const char* options;  // after the kind, starting with a comma
  bool learns;
};

void PrintTo(const Subject& subject, std::ostream* out) { *out << subject.kind; }

const Subject kSubjects[] = {
    {"enn", "", true},
    {"ft", R"(, "maxSteps": 5)", false},
    {"lookup", "", false},
    {"mend", R"(, "seed": 3, "rank": 12)", true},
    {"nearest", "", false},
    {"seprog", R"(, "seed": 3, "promptLength": 4, "hiddenWidth": 24)", true},
    {"serac", "", true},
    {"slag", R"(, "seed": 3, "innerSteps": 2, "lstmWidth": 8, "conditionWidth": 12, "conditionerWidth": 10)",
     true},
};

class GpuEditors : public testing::TestWithParam<Subject> {
 protected:
  static constexpr int kSteps = 3;

  struct Outcome {
    std::vector<Figures> steps;
    TokenScores scores;
    Generation answers;
  };

  Outcome outcomeOn(const c10::Device& where) const {
    const auto base = std::make_shared<const Model>(createModel(tiny::config(), 1, where));
    const auto editor = makeEditor(spec(), base);
    const EpisodeBatch batch = tiny::seracEpisodes(1, 2, 4, false);
    Outcome outcome;
    for (int step = 0; GetParam().learns && step < kSteps; ++step) {
      outcome.steps.push_back(editor->trainStep(batch, 1e-3, quiet));
    }
    const auto edited = editor->edit(tiny::seracRequests(batch), baseScorer(base), quiet);
    outcome.scores = edited->score(batch.inScope, quiet);
    outcome.answers = edited->generate(batch.outScope.source, {5, true}, quiet);
    return outcome;
  }

 private:
  Json spec() const {
    if (std::string(GetParam().kind) == "serac") return world_.spec();
    return Json::parse(std::string(R"({"kind": ")") + GetParam().kind + "\"" + GetParam().options + "}");
  }

  const tiny::SeracWorld world_;
};
INSTANTIATE_TEST_SUITE_P(Kinds, GpuEditors, testing::ValuesIn(kSubjects),
                         [](const auto& info) { return std::string(info.param.kind); });

at::Tensor tensorOf(const std::vector<float>& values) { return at::tensor(values); }

TEST_P(GpuEditors, LearnsAndAnswersAsOnTheCpu) {
  const Outcome got = outcomeOn(device()), wanted = outcomeOn(at::kCPU);
  ASSERT_EQ(got.steps.size(), wanted.steps.size());
  for (size_t step = 0; step < got.steps.size(); ++step) {
    ASSERT_EQ(got.steps[step].size(), wanted.steps[step].size());
    for (size_t i = 0; i < got.steps[step].size(); ++i) {
      const auto& [name, value] = wanted.steps[step][i];
      EXPECT_EQ(got.steps[step][i].first, name);
      EXPECT_NEAR(got.steps[step][i].second, value, 2e-3 * (1 + std::abs(value)))
          << name << " of step " << step;
    }
  }
  expectNear(tensorOf(got.scores.logProb), tensorOf(wanted.scores.logProb), 2e-3, "log-probabilities");
  expectNear(tensorOf(got.scores.scope.logit), tensorOf(wanted.scores.scope.logit), 2e-3, "scope");
  EXPECT_EQ(got.answers.tokens.ids, wanted.answers.tokens.ids);
  EXPECT_EQ(got.scores.scope.selected, wanted.scores.scope.selected);
}

TEST(GpuTraining, OfAWholeModel) {
  const auto losses = [](const c10::Device& where) {
    const Model base = createModel(tiny::config(), 1, where);
    const auto tuner =
        makeFineTuner(Json::parse(R"({"optimizer": {"kind": "adam"}, "clipNorm": 1.0})"), base);
    Random random(2);
    const PairRows batch = tiny::pairs(random, 6);
    std::vector<float> values;
    for (int step = 0; step < 4; ++step) {
      values.push_back(static_cast<float>(tiny::figure(tuner->trainStep(batch, 1e-3, quiet), "loss")));
    }
    return values;
  };
  expectNear(tensorOf(losses(device())), tensorOf(losses(at::kCPU)), 1e-4, "losses");
}

TEST(GpuMeasurement, SeesPeaksAndTimes) {
  Meter meter(device());
  JobContext context(nullptr, &meter);
  {
    auto products = context.phase("products");
    const at::Tensor a = at::ones({512, 512}, at::TensorOptions(device()));
    EXPECT_EQ(a.mm(a)[0][0].item<float>(), 512);
  }
  const Measurement measurement = meter.finish();
  EXPECT_GE(measurement.total.peakBytes - measurement.total.baselineBytes, 2 * 512 * 512 * 4);
  EXPECT_GT(measurement.total.wallNs, 0);
  EXPECT_EQ(measurement.total.deviceNs >= 0, device().is_cuda());
}

}  // namespace
}  // namespace seprog::gpu
