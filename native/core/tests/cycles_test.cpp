// Editors come and go: what a process holds afterwards must not depend on how many there were.
#include <gtest/gtest.h>
#include <malloc.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <string>

#include "core/instrument/counting_allocator.h"
#include "serac_parts.h"
#include "tiny.h"

namespace seprog {
namespace {

using namespace tiny;

constexpr int kCycles = 10'000;
constexpr int64_t kMiB = int64_t{1} << 20;

const Json kBase =
    with(config(), R"({"d_model": 8, "d_kv": 4, "d_ff": 12, "num_layers": 1, "num_decoder_layers": 1})");
const Json kClassifier = with(distilbertConfig(), R"({"dim": 8, "hidden_dim": 12, "n_layers": 1})");

/// Resident bytes, with all that is free given back.
int64_t residentBytes() {
  trimCpuMemoryCache();
  malloc_trim(0);
  int64_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

/// One editor's life: made, trained where it learns, asked to edit, its answer asked, gone.
void live(const Json& spec, const std::shared_ptr<const Model>& base, const EpisodeBatch& batch) {
  const auto editor = makeEditor(spec, base);
  const std::string& kind = editor->kind();
  if (kind != "ft" && kind != "lookup" && kind != "nearest") editor->trainStep(batch, 1e-3, quiet);
  const auto edited = editor->edit(seracRequests(batch), baseScorer(base), quiet);
  edited->score(batch.inScope, quiet);
  edited->generate(batch.outScope.source, {2, true}, quiet);
}

TEST(Cycles, TenThousandEditorsOfAllKindsLeaveTheProcessAsItWas) {
  installCountingAllocator();
  const SeracWorld world(kBase, kClassifier);
  const std::map<std::string, Json> specs = {
      {"enn", Json::parse(R"({"kind": "enn"})")},
      {"ft", Json::parse(R"({"kind": "ft", "maxSteps": 2})")},
      {"lookup", Json::parse(R"({"kind": "lookup"})")},
      {"mend", Json::parse(R"({"kind": "mend", "seed": 3, "rank": 4})")},
      {"nearest", Json::parse(R"({"kind": "nearest"})")},
      {"seprog", Json::parse(R"({"kind": "seprog", "seed": 3, "promptLength": 2, "hiddenWidth": 8})")},
      {"serac", world.spec()},
      {"slag",
       Json::parse(
           R"({"kind": "slag", "seed": 3, "innerSteps": 1, "lstmWidth": 4, "conditionWidth": 6, "conditionerWidth": 5})")},
  };
  const EpisodeBatch batch = seracEpisodes(1, 1, 2, false);
  const auto lives = [&](int count) {
    for (int i = 0; i < count; ++i) {
      for (const auto& [kind, spec] : specs) live(spec, world.base, batch);
    }
  };
  const int rounds = kCycles / static_cast<int>(specs.size());
  lives(rounds / 10);  // what a library keeps for good is there by then
  const int64_t before = residentBytes(), tensorsBefore = cpuMemoryCounts().allocatedBytes;
  lives(rounds);
  EXPECT_EQ(cpuMemoryCounts().allocatedBytes, tensorsBefore);
  const int64_t grownBytes = residentBytes() - before;
  RecordProperty("grownBytes", std::to_string(grownBytes));
  EXPECT_NEAR(static_cast<double>(grownBytes), 0, 8.0 * kMiB);
}

}  // namespace
}  // namespace seprog
