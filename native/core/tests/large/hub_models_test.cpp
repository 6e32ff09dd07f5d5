// The models of models.md section 1 at their real sizes, from files as the hub ships them, with random weights;
// and one episode of SEPROG on the largest. Minutes, 4 GB of disk and up to 24 GiB of memory: `npm run test:large`
// runs each test in a process of its own, so that each peak is its own.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <iostream>

#include "../hub_layouts.h"
#include "../tiny.h"
#include "core/editors/editor.h"
#include "core/editors/seprog/edit_encoder.h"
#include "core/instrument/counting_allocator.h"
#include "core/instrument/process_memory.h"
#include "core/tensor/matmul_backend.h"
#include "core/tensor/random.h"

namespace seprog {
namespace {

constexpr double kGiB = 1024.0 * 1024 * 1024;

class Timer {
 public:
  /// Seconds since the last lap.
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - start_).count();
    start_ = now;
    return seconds;
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

void report(const std::string& what, double seconds) {
  std::cout << what << ": " << std::round(seconds * 100) / 100 << " s, peak resident "
            << std::round(static_cast<double>(processPeakBytes()) / kGiB * 100) / 100 << " GiB\n"
            << std::flush;
}

/// What writing took is not counted.
void forgetWriting() {
  trimCpuMemoryCache();
  resetProcessPeak();
}

struct Expected {
  const char* test;
  HubModel (*make)(HubSize size);
  HubFile file;
  int64_t parameters;
};

class HubModels : public testing::TestWithParam<Expected> {
 protected:
  static void SetUpTestSuite() { installCountingAllocator(); }
};

TEST_P(HubModels, LoadsWithItsParameters) {
  const Expected& expected = GetParam();
  const HubModel hub = expected.make(HubSize::Real);
  const tiny::Folder folder;
  writeHubFolder(hub, folder.path(), expected.file);
  forgetWriting();
  Timer timer;
  {
    const Model loaded = hub.asEncoder ? loadEncoder(folder.path(), at::kCPU)
                                       : loadModel(folder.path(), at::kCPU, {hub.addPadToken});
    report(hub.name + ": loaded", timer.lap());
    EXPECT_EQ(loaded.weights.parameterCount(), expected.parameters);
  }
  expectHubFolderLoads(hub, folder.path());
}

INSTANTIATE_TEST_SUITE_P(
    , HubModels,
    testing::Values(Expected{"T5LargeSsmNq", t5LargeSsmNq, HubFile::TorchLegacy, 737'668'096},
                    Expected{"T5Small", t5Small, HubFile::Safetensors, 60'506'624},
                    Expected{"T5SmallEncoder", t5SmallEncoder, HubFile::TorchZip, 35'330'816},
                    Expected{"BartBase", bartBase, HubFile::TorchZip, 139'420'416},
                    // Without the pooler's 590'592.
                    Expected{"BertBaseUncased", bertBaseUncased, HubFile::Safetensors, 109'482'240 - 590'592},
                    Expected{"BertBaseUncasedClassifier", bertBaseUncasedClassifier, HubFile::TorchLegacy,
                             109'482'240 + 769},
                    // And the row of [PAD].
                    Expected{"Distilgpt2", distilgpt2, HubFile::TorchZip, 81'912'576 + 768},
                    Expected{"DistilbertBaseCased", distilbertBaseCased, HubFile::Safetensors, 65'190'912},
                    Expected{"DistilbertBaseCasedClassifier", distilbertBaseCasedClassifier,
                             HubFile::TorchZip, 65'190'912 + 590'592 + 1'538}),
    [](const testing::TestParamInfo<Expected>& info) { return info.param.test; });

constexpr int64_t kEdits = 4;

/// Questions of 12 to 20 tokens and answers of 2 to 5, closed by the stop id 1.
TokenRows randomRows(Random& random, int64_t least, int64_t most, int64_t vocabulary) {
  TokenRows rows;
  for (int64_t b = 0; b < kEdits; ++b) {
    const auto length =
        least + static_cast<int64_t>(random.uniform() * static_cast<double>(most - least + 1));
    for (int64_t t = 0; t + 1 < length; ++t) {
      rows.ids.push_back(3 + static_cast<int32_t>(random.uniform() * static_cast<double>(vocabulary - 3)));
    }
    rows.ids.push_back(1);
    rows.lengths.push_back(static_cast<int32_t>(length));
  }
  return rows;
}

EpisodeBatch episode(int64_t vocabulary) {
  Random random(5);
  const auto pairs = [&] {
    return PairRows{randomRows(random, 12, 20, vocabulary), randomRows(random, 2, 5, vocabulary)};
  };
  EpisodeBatch batch;
  batch.edits = pairs();
  batch.editText = randomRows(random, 20, 30, vocabulary);
  batch.inScope = pairs();
  batch.outScope = pairs();
  return batch;
}

TEST(HubEpisode, T5LargeIsEditedWithin24GiB) {
  installCountingAllocator();
  chooseMatmulBackend();
  JobContext context;
  const tiny::Folder base, encoder;
  writeHubFolder(t5LargeSsmNq(HubSize::Real), base.path(), HubFile::TorchZip);
  writeHubFolder(t5Small(HubSize::Real), encoder.path(), HubFile::Safetensors);
  forgetWriting();

  Timer whole;
  Timer timer;
  const auto model = std::make_shared<const Model>(loadModel(base.path(), at::kCPU));
  report("load t5-large-ssm-nq", timer.lap());
  const Json spec(
      Json::Object{{"kind", "seprog"},
                   {"seed", 3},
                   {"editEncoder", Json::Object{{"source", "directory"}, {"path", encoder.path()}}}});
  const auto editor = makeEditor(spec, model);
  report("make the editor (t5-small's encoder, p = 32, h = 768)", timer.lap());
  const EpisodeBatch batch = episode(model->architecture->vocabulary());

  const Figures step = editor->trainStep(batch, 1e-4, context);
  report("one training step, K = 4", timer.lap());
  EXPECT_TRUE(std::isfinite(tiny::figure(step, "loss")));
  EXPECT_GT(tiny::figure(step, "gradNorm"), 0);

  const auto edited = editor->edit({batch.edits, batch.editText, std::vector<std::string>(kEdits, "edit")},
                                   baseScorer(model), context);
  report("apply 4 edits", timer.lap());
  for (const PairRows& rows : {batch.inScope, batch.outScope}) {
    for (const float logProb : edited->score(rows, context).logProb) {
      EXPECT_TRUE(std::isfinite(logProb));
      EXPECT_LT(logProb, 0);
    }
  }
  report("score 4 in-scope and 4 out-of-scope rows", timer.lap());
  for (const TokenRows& rows : {batch.inScope.source, batch.outScope.source}) {
    EXPECT_EQ(edited->generate(rows, {32, true}, context).tokens.rows(), kEdits);
  }
  report("generate 32 tokens for each of them", timer.lap());
  report("the episode in all", whole.lap());
  EXPECT_LT(static_cast<double>(processPeakBytes()), 24 * kGiB);
}

}  // namespace
}  // namespace seprog
