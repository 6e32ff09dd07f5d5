// Planned devices against the real one: the same calls on both, their peaks side by side.
#include <ATen/Context.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>

#include "core/editors/seprog/seprog.h"
#include "core/engine/devices.h"
#include "core/instrument/meter.h"
#include "core/io/atomic_file.h"
#include "core/plan/planned_device.h"
#include "serac_parts.h"
#include "tiny.h"

namespace seprog {
namespace {

/// With libtorch's own products: oneDNN takes its scratch from the allocator, which a plan knows nothing of and which is
/// most of what so small a model allocates. Another test may have chosen it.
class Plan : public testing::Test {
 protected:
  void SetUp() override {
    installCountingAllocator();
    at::globalContext().setFloat32MatmulPrecision("highest");
  }
  void TearDown() override { at::globalContext().setFloat32MatmulPrecision(exact_ ? "highest" : "medium"); }

 private:
  const bool exact_ = at::globalContext().float32MatmulPrecision() == at::Float32MatmulPrecision::HIGHEST;
};

/// Allocated bytes of one call: when it began, and the most while it ran.
struct Bytes {
  int64_t baseline = 0;
  int64_t peak = 0;
  RoleBytes rolesAtPeak;
};

struct Peaks {
  Bytes trainStep, edit, score, generate;
};

EditRequests requestsOf(const EpisodeBatch& batch) {
  EditRequests requests{batch.edits, batch.editText, std::vector<std::string>(batch.editText.rows(), "edit")};
  requests.editPrefix = batch.editPrefix;
  requests.outScope = batch.outScope;
  return requests;
}

template <typename Call>
Bytes measured(const c10::Device& device, Call&& call) {
  Meter meter(device);
  JobContext context(nullptr, &meter);
  call(context);
  const Measurement measurement = meter.finish();
  return {measurement.total.baselineBytes, measurement.total.peakBytes, measurement.total.rolesAtPeak};
}

/// Every call of an editor's life, the second training step among them: the first one makes moments and statistics.
Peaks livesOf(const c10::Device& device, const Json& config, const Json& spec, const EpisodeBatch& batch) {
  const auto base = std::make_shared<const Model>(createModel(config, 1, device));
  const auto editor = makeEditor(spec, base);
  JobContext quiet;
  editor->trainStep(batch, 1e-4, quiet);
  Peaks peaks;
  peaks.trainStep = measured(device, [&](JobContext& context) { editor->trainStep(batch, 1e-4, context); });
  std::shared_ptr<Scorer> edited;
  peaks.edit = measured(device, [&](JobContext& context) {
    edited = editor->edit(requestsOf(batch), baseScorer(base), context);
  });
  // Without a scope every row is answered as the plan takes it to be.
  if (auto* seprog = dynamic_cast<SeprogEditor*>(editor.get())) {
    auto memory = std::make_shared<EditMemory>(seprog->width(), seprog->fingerprint());
    memory->add(requestsOf(batch).labels, seprog->embed(batch.editText, quiet));
    edited = seprog->withMemory(std::move(memory), "always");
  }
  peaks.score = measured(device, [&](JobContext& context) { edited->score(batch.inScope, context); });
  const GenerateOptions fixed{6, false};
  peaks.generate =
      measured(device, [&](JobContext& context) { edited->generate(batch.inScope.source, fixed, context); });
  return peaks;
}

/// On a thread of its own, as an engine does it: what a thread plans on is for good.
template <typename Call>
auto planned(PlannedKind kind, Call&& call, PlannedRows rows = PlannedRows::InScope) {
  const c10::Device device = plannedDevice(kind, rows);
  return std::async(std::launch::async,
                    [&] {
                      planOnThisThread(device);
                      return call(device);
                    })
      .get();
}

void expectNear(const Bytes& plan, const Bytes& real, double share, const char* what) {
  SCOPED_TRACE(what);
  EXPECT_GT(real.peak, real.baseline);
  // On top of what stood before: the process may hold other tensors, a plan never does.
  const auto grown = [](const Bytes& bytes) { return static_cast<double>(bytes.peak - bytes.baseline); };
  EXPECT_NEAR(grown(plan), grown(real), share * grown(real));
  int64_t sum = 0;
  for (const auto& [role, bytes] : plan.rolesAtPeak) sum += bytes;
  EXPECT_EQ(sum, plan.peak);
}

/// Whether real rows may be answered otherwise than the plan takes it: then it is an upper bound.
enum class Answers { Same, ByScope };

void expectSamePeaks(const Json& config, const Json& spec, const EpisodeBatch& batch,
                     Answers answers = Answers::Same) {
  const Peaks real = livesOf(at::kCPU, config, spec, batch);
  const Peaks plan = planned(PlannedKind::Cpu,
                             [&](const c10::Device& device) { return livesOf(device, config, spec, batch); });
  constexpr double kShare = 0.01;
  expectNear(plan.trainStep, real.trainStep, kShare, "trainStep");
  expectNear(plan.edit, real.edit, kShare, "edit");
  if (answers == Answers::Same) {
    expectNear(plan.score, real.score, kShare, "score");
    expectNear(plan.generate, real.generate, kShare, "generate");
  } else {
    EXPECT_GE(plan.score.peak - plan.score.baseline, real.score.peak - real.score.baseline);
    EXPECT_GE(plan.generate.peak - plan.generate.baseline, real.generate.peak - real.generate.baseline);
  }
}

Json kindOf(const char* kind) {
  return Json::parse(std::string(R"({"kind": ")") + kind + R"(", "seed": 1})");
}

/// Episodes whose targets are classes, for families that answer with one.
EpisodeBatch classEpisodes(uint64_t seed, int64_t edits) {
  Random random(seed);
  EpisodeBatch batch = tiny::episodes(seed, 1, edits);
  for (PairRows* pairs : {&batch.edits, &batch.inScope, &batch.outScope}) {
    pairs->target = tiny::classes(random, edits, 2);
  }
  return batch;
}

TEST_F(Plan, SeprogOnT5AndBart) {
  expectSamePeaks(tiny::config(), tiny::spec(), tiny::episodes(1, 1, 6));
  expectSamePeaks(tiny::config(), tiny::spec(R"(, "variant": "noatt")"), tiny::episodes(2, 2, 8));
  expectSamePeaks(tiny::bartConfig(), tiny::spec(), tiny::episodes(3, 1, 6));
}

TEST_F(Plan, SeprogOnAClassifier) { expectSamePeaks(tiny::bertConfig(), tiny::spec(), classEpisodes(4, 6)); }

TEST_F(Plan, EditorsOfWeights) {
  for (const char* kind : {"enn", "mend"}) {
    SCOPED_TRACE(kind);
    expectSamePeaks(tiny::config(), kindOf(kind), tiny::episodes(5, 1, 6));
    expectSamePeaks(tiny::bartConfig(), kindOf(kind), tiny::episodes(6, 1, 6));
    expectSamePeaks(tiny::gpt2Config(), kindOf(kind), tiny::episodes(7, 1, 6));
  }
  for (const char* kind : {"enn", "mend"}) {
    expectSamePeaks(tiny::bertConfig(), kindOf(kind), classEpisodes(8, 6));
    expectSamePeaks(tiny::distilbertConfig(), kindOf(kind), classEpisodes(9, 6));
  }
}

TEST_F(Plan, Slag) {
  expectSamePeaks(tiny::config(), Json::parse(R"({"kind": "slag", "seed": 1, "innerSteps": 2})"),
                  tiny::episodes(10, 1, 4));
}

TEST_F(Plan, SeracReadsTheSizesOfFoldersAlone) {
  const tiny::SeracWorld world;
  expectSamePeaks(tiny::config(), world.spec(), tiny::seracEpisodes(11, 1, 6), Answers::ByScope);
  const tiny::Folder empty;
  writeFileAtomic(empty / "config.json", tiny::config().dump());
  const int64_t parameters = planned(PlannedKind::Cpu, [&](const c10::Device& device) {
    return loadModel(empty.path(), device).weights.parameterCount();
  });
  EXPECT_EQ(parameters, world.base->weights.parameterCount());
}

TEST_F(Plan, RowsAreAllInScopeOrAllOut) {
  const auto promptedRows = [](PlannedRows rows) {
    const auto logitsOn = [](const c10::Device& device) {
      const auto base = std::make_shared<const Model>(createModel(tiny::config(), 1, device));
      JobContext quiet;
      const EpisodeBatch batch = tiny::episodes(13, 1, 5);
      const auto edited = makeEditor(tiny::spec(), base)->edit(requestsOf(batch), baseScorer(base), quiet);
      return edited->generate(batch.inScope.source, {3, true}, quiet).scope.logit;
    };
    const std::vector<float> logits = planned(PlannedKind::Cpu, logitsOn, rows);
    return std::count_if(logits.begin(), logits.end(), [](float logit) { return logit > 0; });
  };
  EXPECT_EQ(promptedRows(PlannedRows::InScope), 5);
  EXPECT_EQ(promptedRows(PlannedRows::OutOfScope), 0);
}

TEST_F(Plan, CudaBlocksAreMultiplesOf512) {
  const auto held = [](const c10::Device& device) {
    const at::Tensor one = at::empty({1}, at::device(device));
    const at::Tensor more = at::empty({129}, at::device(device).dtype(at::kFloat));
    return DeviceMemory::of(device).counts().allocatedBytes;
  };
  const auto before = [](const c10::Device& device) {
    return DeviceMemory::of(device).counts().allocatedBytes;
  };
  EXPECT_EQ(planned(PlannedKind::Cuda, held) - planned(PlannedKind::Cuda, before), 512 + 1024);
  EXPECT_EQ(planned(PlannedKind::Cpu, held) - planned(PlannedKind::Cpu, before), 4 + 4 * 129);
}

TEST_F(Plan, AModelLargerThanAnyMachineTakesNoMemory) {
  const Json config = Json::parse(
      R"({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 1024, "d_kv": 128,
      "d_ff": 65536, "num_heads": 128, "num_layers": 24, "num_decoder_layers": 24, "vocab_size": 32128,
      "feed_forward_proj": "relu", "decoder_start_token_id": 0})");
  const int64_t before = cpuMemoryCounts().allocatedBytes;
  const Peaks peaks = planned(PlannedKind::Cuda, [&](const c10::Device& device) {
    return livesOf(device, config, tiny::spec(), tiny::episodes(12, 1, 64));
  });
  EXPECT_GT(peaks.trainStep.peak, int64_t{60} << 30);
  EXPECT_EQ(cpuMemoryCounts().allocatedBytes, before);
}

TEST_F(Plan, EveryEditorIsPlannedForCuda) {
  const Json slag = Json::parse(R"({"kind": "slag", "seed": 1, "innerSteps": 1})");
  for (const Json& spec : {tiny::spec(), kindOf("enn"), kindOf("mend"), slag}) {
    SCOPED_TRACE(spec.dump());
    const auto trainStepPeak = [&](const Json& config, const EpisodeBatch& batch) {
      const auto lives = [&](const c10::Device& device) { return livesOf(device, config, spec, batch); };
      return planned(PlannedKind::Cuda, lives).trainStep.peak;
    };
    EXPECT_GT(trainStepPeak(tiny::config(), tiny::episodes(14, 1, 4)), 0);
    EXPECT_GT(trainStepPeak(tiny::bartConfig(), tiny::episodes(15, 1, 4)), 0);
    EXPECT_GT(trainStepPeak(tiny::bertConfig(), classEpisodes(16, 4)), 0);
  }
}

TEST_F(Plan, IndicesFromTheHostStayKnown) {
  const bool known = planned(PlannedKind::Cpu, [](const c10::Device& device) {
    const at::Tensor rows = at::tensor({5, 3, 8, 1}, at::kLong).to(device);
    return at::equal(rows.narrow(0, 1, 2).to(at::kCPU), at::tensor({3, 8}, at::kLong));
  });
  EXPECT_TRUE(known);
}

TEST_F(Plan, WhatHasNoValuesIsNotWritten) {
  const tiny::Folder folder;
  const ErrorCode code = planned(PlannedKind::Cpu, [&](const c10::Device& device) {
    return tiny::codeOf([&] { saveModel(createModel(tiny::config(), 1, device), folder.path(), "fp32"); });
  });
  EXPECT_EQ(code, ErrorCode::Unsupported);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST_F(Plan, NamesOfDevices) {
  EXPECT_EQ(deviceName(parseDevice("plan:cpu")), "plan:cpu");
  EXPECT_EQ(deviceName(at::kCPU), "cpu");
  for (const char* name : {"plan:cuda", "plan:cpu:out-of-scope", "plan:cuda:out-of-scope"}) {
    EXPECT_EQ(deviceName(parseDevice(name)), name);
  }
  std::string message;
  EXPECT_EQ(tiny::codeOf([] { parseDevice("plan:tpu"); }, &message), ErrorCode::ConfigInvalid);
  EXPECT_NE(message.find("plan:cuda"), std::string::npos);
}

}  // namespace
}  // namespace seprog
