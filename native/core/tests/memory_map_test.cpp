// What the memory map says of real steps: every byte of a peak has a role, and the roles are those one can count.
#include <gtest/gtest.h>

#include <string>

#include "core/editors/editor.h"
#include "core/instrument/meter.h"
#include "core/layers/activation.h"
#include "core/layers/attention.h"
#include "core/layers/rms_norm.h"
#include "seprog_parts.h"
#include "tiny.h"

namespace seprog {
namespace {

const c10::Device kCpu(c10::DeviceType::CPU);

int64_t bytesOf(const TensorTable& table) {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : table) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

const PhaseRecord& phaseOf(const Measurement& measurement, const std::string& name) {
  for (const PhaseRecord& phase : measurement.phases) {
    if (phase.name == name) return phase;
  }
  throw std::runtime_error("no phase " + name);
}

void expectComplete(const Measurement& measurement) {
  std::vector<PhaseRecord> all = measurement.phases;
  all.push_back(measurement.total);
  for (const PhaseRecord& phase : all) {
    ASSERT_EQ(phase.rolesAtPeak.size(), kMemoryRoles) << phase.name;
    int64_t sum = 0;
    for (const auto& [role, bytes] : phase.rolesAtPeak) {
      EXPECT_GE(bytes, 0) << phase.name << " " << role;
      sum += bytes;
    }
    EXPECT_EQ(sum, phase.peakBytes) << phase.name;
  }
}

/// One measured call; what stood before the test is subtracted by the caller.
template <typename Call>
Measurement measured(Call&& call, MeasureLevel level = MeasureLevel::Clocks) {
  Meter meter(kCpu, level);
  JobContext context(nullptr, &meter);
  call(context);
  return meter.finish();
}

class MemoryMap : public ::testing::Test {
 protected:
  void SetUp() override {
    installCountingAllocator();
    before_ = *cpuMemoryCounts().roles;
  }
  /// Of a role at the peak of a phase, less what other tests still hold.
  int64_t own(const PhaseRecord& phase, MemoryRole role) const {
    const auto index = static_cast<size_t>(role);
    return phase.rolesAtPeak.at(index).second - before_[index];
  }
  BytesByRole before_;
};

TEST_F(MemoryMap, StepOfSeprogTellsModelEditorAndMomentsApart) {
  const auto base = tiny::model();
  const int64_t weights = bytesOf(base->weights.flatten());
  const auto editor = makeEditor(tiny::spec(), base);
  const int64_t parameters = (*cpuMemoryCounts().roles)[static_cast<size_t>(MemoryRole::Editor)] -
                             before_[static_cast<size_t>(MemoryRole::Editor)];
  EXPECT_GT(parameters, 0);
  const int64_t moments = (*cpuMemoryCounts().roles)[static_cast<size_t>(MemoryRole::Optimizer)] -
                          before_[static_cast<size_t>(MemoryRole::Optimizer)];
  EXPECT_LT(moments, parameters / 8) << "an editor that only answers pays for no moments";
  const EpisodeBatch batch = tiny::episodes(1, 2, 4);
  JobContext quiet;
  editor->trainStep(batch, 1e-3, quiet);  // makes them
  const Measurement step = measured([&](JobContext& context) { editor->trainStep(batch, 1e-3, context); });
  expectComplete(step);
  EXPECT_EQ(own(step.total, MemoryRole::Weights), weights);
  EXPECT_EQ(own(step.total, MemoryRole::Editor), parameters);
  EXPECT_EQ(own(step.total, MemoryRole::Optimizer), 2 * parameters);
  EXPECT_EQ(own(step.total, MemoryRole::Hypergradient), 0);
  EXPECT_EQ(own(step.total, MemoryRole::KvCache), 0);
  EXPECT_GT(own(phaseOf(step, "edit_encode"), MemoryRole::Activations), 0);
  EXPECT_GT(own(phaseOf(step, "backward"), MemoryRole::Gradients), 0);
  EXPECT_EQ(own(phaseOf(step, "update"), MemoryRole::Gradients), parameters) << "what Adam reads";
}

TEST_F(MemoryMap, FusedOperationsKeepActivationsWhereAGraphIsRecorded) {
  const at::Tensor x_ND = at::ones({8, 16}).set_requires_grad(true);
  const at::Tensor heads_BHQC = at::ones({2, 2, 4, 8}).set_requires_grad(true);
  const auto forward = [&](JobContext&) {
    const at::Tensor normed = rmsNorm(x_ND, at::ones({16}), 1e-6);
    const at::Tensor activated = activate(Activation::Gelu, normed);
    const at::Tensor attended = attend(heads_BHQC, heads_BHQC, heads_BHQC, {});
  };
  const Measurement recorded = measured(forward);
  EXPECT_EQ(own(recorded.total, MemoryRole::Workspace), 0);
  EXPECT_GT(own(recorded.total, MemoryRole::Activations), 2 * 8 * 16 * 4);
  const at::NoGradGuard noGrad;
  EXPECT_GT(own(measured(forward).total, MemoryRole::Workspace), 0);
}

TEST_F(MemoryMap, DecodingHoldsItsCachesAndAnEditedModelItsMemory) {
  const auto base = tiny::model();
  const auto editor = makeEditor(tiny::spec(), base);
  const EpisodeBatch batch = tiny::episodes(1, 1, 4);
  JobContext quiet;
  const auto edited = editor->edit(tiny::requests(batch), baseScorer(base), quiet);
  const Measurement answers = measured([&](JobContext& context) {
    baseScorer(base)->generate(batch.inScope.source, {6, false}, context);
  });
  expectComplete(answers);
  // Cross-attention of 2 blocks: keys and values of 2 × 8 channels for each of the source's tokens.
  const auto tokens = static_cast<int64_t>(batch.inScope.source.ids.size());
  EXPECT_GE(own(phaseOf(answers, "decode"), MemoryRole::KvCache), 2 * 2 * tokens * 16 * 4);
  EXPECT_EQ(own(answers.total, MemoryRole::EditMemory), 4 * 24 * 4) << "4 edits of 24 floats";
  EXPECT_EQ(own(answers.total, MemoryRole::Gradients), 0);
  EXPECT_EQ(own(answers.total, MemoryRole::Activations), 0);
}

TEST_F(MemoryMap, OverlayIsEditMemory) {
  const auto base = tiny::model();
  const auto editor = makeEditor(Json::parse(R"({"kind": "ft", "maxSteps": 2})"), base);
  const EpisodeBatch batch = tiny::episodes(1, 1, 4);
  JobContext quiet;
  const auto edited = editor->edit(tiny::requests(batch), baseScorer(base), quiet);
  int64_t matrices = 0;
  for (const std::string& name : base->architecture->editableWeights()) {
    matrices += static_cast<int64_t>(base->weights.at(name).nbytes());
  }
  const Measurement scores = measured([&](JobContext& context) { edited->score(batch.inScope, context); });
  EXPECT_EQ(own(scores.total, MemoryRole::EditMemory), matrices);
}

TEST_F(MemoryMap, SecondDerivativesAreTheHypergradients) {
  const auto base = tiny::model();
  const EpisodeBatch batch = tiny::episodes(1, 1, 4);
  for (const char* spec : {R"({"kind": "enn"})", R"({"kind": "enn", "hypergradient": "create_graph"})"}) {
    const auto editor = makeEditor(Json::parse(spec), base);
    const Measurement step = measured([&](JobContext& context) { editor->trainStep(batch, 1e-4, context); });
    expectComplete(step);
    const std::string phase =
        std::string(spec).find("create_graph") == std::string::npos ? "hypergradient" : "backward";
    EXPECT_GT(own(phaseOf(step, phase), MemoryRole::Hypergradient), 0) << spec;
  }
}

TEST_F(MemoryMap, EveryMethodsStepIsTold) {
  const auto base = tiny::model();
  const EpisodeBatch batch = tiny::episodes(1, 1, 4);
  for (const char* spec :
       {R"({"kind": "mend", "rank": 12})",
        R"({"kind": "slag", "lstmWidth": 8, "conditionWidth": 12, "conditionerWidth": 10})",
        R"({"kind": "enn"})"}) {
    const auto editor = makeEditor(Json::parse(spec), base);
    const Measurement step = measured([&](JobContext& context) { editor->trainStep(batch, 1e-4, context); });
    expectComplete(step);
    EXPECT_GT(own(step.total, MemoryRole::Gradients), 0) << spec;
    EXPECT_GT(own(step.total, MemoryRole::Optimizer), 0) << spec;
  }
}

TEST_F(MemoryMap, TimelineShowsTheTeethAndThePeak) {
  const auto base = tiny::model();
  const auto editor = makeEditor(tiny::spec(), base);
  const EpisodeBatch batch = tiny::episodes(1, 2, 4);
  const Measurement step =
      measured([&](JobContext& context) { editor->trainStep(batch, 1e-3, context); }, MeasureLevel::Detail);
  expectComplete(step);
  ASSERT_FALSE(step.timeline.empty());
  EXPECT_LE(step.timeline.size(), MemoryTrace::kMaxSamples);
  int64_t highest = 0;
  size_t falls = 0;
  for (size_t i = 0; i < step.timeline.size(); ++i) {
    highest = std::max(highest, step.timeline[i].allocatedBytes);
    if (i == 0) continue;
    EXPECT_GE(step.timeline[i].ns, step.timeline[i - 1].ns);
    falls += step.timeline[i].allocatedBytes < step.timeline[i - 1].allocatedBytes ? 1 : 0;
  }
  EXPECT_EQ(highest, step.total.peakBytes);
  EXPECT_LE(step.timeline.back().ns, step.total.wallNs + 1'000'000);
  EXPECT_GT(falls, step.phases.size()) << "what lies between the boundaries of phases";
}

}  // namespace
}  // namespace seprog
