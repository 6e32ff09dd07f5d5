// One side of bench/peers/*_step.py: training steps of an editor on random weights and ids, asked for line by
// line, so that both sides can take turns in the same minutes.
//
// usage: seprog_step FOLDER. FOLDER/task.json holds {config, spec, edits, source, text, target, ragged, seed,
// threads}. The base model, the editor's first weights and the episode are written into FOLDER for the other
// side. Then each line "step N" on standard input runs N steps, "memory" asks for resident sizes; every
// answer is one line of JSON. "step N LEVEL" measures each step as a call of the engine would: LEVEL is
// nothing, clocks or detail.
#include <ATen/Parallel.h>
#include <ATen/ops/tensor.h>

#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "core/editors/editor.h"
#include "core/instrument/counting_allocator.h"
#include "core/instrument/process_memory.h"
#include "core/io/atomic_file.h"
#include "core/io/safetensors.h"
#include "core/options.h"
#include "core/tensor/matmul_backend.h"
#include "driver.h"

namespace seprog {
namespace {

constexpr double kLearningRate = 1e-4;

void put(TensorTable& table, const std::string& name, const TokenRows& rows) {
  table[name + ".ids"] = at::tensor(at::ArrayRef<int32_t>(rows.ids));
  table[name + ".lengths"] = at::tensor(at::ArrayRef<int32_t>(rows.lengths));
}

int64_t residentBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) return std::stoll(line.substr(6)) * 1024;
  }
  return 0;
}

MeasureLevel levelOf(const std::string& name) {
  if (name == "nothing") return MeasureLevel::Nothing;
  return name == "detail" ? MeasureLevel::Detail : MeasureLevel::Clocks;
}

/// One step measured at a level of its own.
Figures stepAt(MeasureLevel level, Editor& editor, const EpisodeBatch& batch) {
  if (level == MeasureLevel::Nothing) {
    JobContext context;
    return editor.trainStep(batch, kLearningRate, context);
  }
  Meter meter(c10::Device(c10::kCPU), level);
  JobContext context(nullptr, &meter);
  Figures figures = editor.trainStep(batch, kLearningRate, context);
  meter.finish();
  return figures;
}

void serve(const std::string& folder) {
  const Json json = Json::parse(readFile(folder + "/task.json"));
  Options task(json, "task");
  at::set_num_threads(static_cast<int>(task.integer("threads")));
  chooseMatmulBackend();  // as the engine does when it starts
  const auto seed = static_cast<uint64_t>(task.integer("seed"));
  const auto base = std::make_shared<const Model>(createModel(task.raw("config"), seed, at::kCPU));
  const auto editor = makeEditor(task.raw("spec"), base);
  const int64_t K = task.integer("edits");
  const bool ragged = task.boolean("ragged");
  const int64_t vocabulary = base->architecture->vocabulary();
  Random random(seed, "episode");
  EpisodeBatch batch;
  const auto rows = [&](const char* length) {
    return bench::randomRows(random, K, task.integer(length), ragged, vocabulary - 3, 1);
  };
  batch.inScope.source = rows("source");
  batch.inScope.target = rows("target");
  batch.outScope.source = rows("source");
  batch.editText = rows("text");
  batch.outScope.target = rows("target");
  batch.edits.source = rows("source");
  batch.edits.target = rows("target");

  TensorTable episode;
  put(episode, "in", batch.inScope.source);
  put(episode, "target", batch.inScope.target);
  put(episode, "out", batch.outScope.source);
  put(episode, "text", batch.editText);
  put(episode, "outTarget", batch.outScope.target);
  put(episode, "edit", batch.edits.source);
  put(episode, "editTarget", batch.edits.target);
  writeSafetensors(folder + "/episode.safetensors", episode);
  saveModel(*base, folder + "/base", "fp32");
  editor->save(folder, false);
  trimCpuMemoryCache();
  resetProcessPeak();
  const int64_t before = residentBytes();
  std::cout << "{\"ready\": true}" << std::endl;

  Meter meter(c10::Device(c10::kCPU));
  JobContext context(nullptr, &meter);
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string command, level;
    int count = 0;
    words >> command >> count >> level;
    if (command == "step") {
      std::cout << "{\"ms\": [";
      const std::clock_t cpuStart = std::clock();
      Figures figures;
      for (int i = 0; i < count; ++i) {
        const auto start = std::chrono::steady_clock::now();
        figures = level.empty() ? editor->trainStep(batch, kLearningRate, context)
                                : stepAt(levelOf(level), *editor, batch);
        const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
        std::cout << (i == 0 ? "" : ", ") << took.count();
      }
      std::cout.precision(9);
      std::cout << "], \"cpuMs\": " << bench::cpuMsSince(cpuStart) / count;
      for (const auto& [name, value] : figures) std::cout << ", \"" << name << "\": " << value;
      std::cout << "}" << std::endl;
    } else if (command == "memory") {
      std::cout << "{\"before\": " << before << ", \"peak\": " << processPeakBytes()
                << ", \"allocatorPeak\": " << cpuMemoryCounts().peakBytes << "}" << std::endl;
    } else if (command == "phases") {
      bench::printPhases(meter.finish());
      return;
    }
  }
}

}  // namespace
}  // namespace seprog

int main(int count, char** arguments) {
  if (count != 2) {
    std::cerr << "usage: seprog_step FOLDER\n";
    return 2;
  }
  return seprog::bench::run([&] {
    seprog::serve(arguments[1]);
    return 0;
  });
}
