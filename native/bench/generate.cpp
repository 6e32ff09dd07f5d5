// One side of bench/peers/generate.py: greedy decoding on random weights and ids, asked for line by line, so that all sides
// can take turns in the same minutes.
//
// usage: seprog_generate FOLDER DTYPE. FOLDER/task.json holds {config, gain, rows, source, ragged, tokens, prompt, seed,
// threads}. The base model is written into FOLDER/base in Hugging Face's layout and the sources into
// FOLDER/source.safetensors for the other sides; the engine loads the folder with its large matrices in DTYPE. Then each
// line "step N" on standard input answers the batch N times and "phases" ends with the times of the encoder and of decoding;
// every answer is one line of JSON.
#include "core/decode/generate.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>

#include <chrono>
#include <ctime>
#include <iostream>
#include <sstream>

#include "core/io/atomic_file.h"
#include "core/io/safetensors.h"
#include "core/options.h"
#include "core/tensor/matmul_backend.h"
#include "driver.h"

namespace seprog {
namespace {

/// Fresh weights with larger matrices between the embeddings, so that answers are not one token for ever.
Model lively(const Json& config, uint64_t seed, double gain) {
  Model model = createModel(config, seed, at::kCPU);
  TensorTable table;
  for (const auto& [name, tensor] : model.weights.flatten()) {
    const bool table2d = name.find("embed") != std::string::npos ||
                         name.find("shared") != std::string::npos || name.find("wte") != std::string::npos ||
                         name.find("wpe") != std::string::npos;
    table[name] = tensor.dim() == 2 && !table2d ? tensor * gain : tensor;
  }
  model.weights = Weights(std::move(table));
  return model;
}

void serve(const std::string& folder, BaseDtype dtype) {
  const Json json = Json::parse(readFile(folder + "/task.json"));
  Options task(json, "task");
  at::set_num_threads(static_cast<int>(task.integer("threads")));
  chooseMatmulBackend();  // as the engine does when it starts
  const auto seed = static_cast<uint64_t>(task.integer("seed"));
  saveModel(lively(task.raw("config"), seed, task.number("gain")), folder + "/base", "fp32");
  const Model model = loadModel(folder + "/base", at::kCPU, {.dtype = dtype});
  const Architecture& family = *model.architecture;
  Random random(seed, "source");
  // Ids above the special ones and below GPT-2's, which is the last.
  const TokenRows source =
      bench::randomRows(random, task.integer("rows"), task.integer("source"), task.boolean("ragged"),
                        family.vocabulary() - 4, family.stopId());
  const GenerateOptions options{task.integer("tokens"), false};
  Prompt prompt;
  if (const int64_t length = task.integer("prompt"); length > 0) {
    prompt.rows_BPD = random.normalTensor({source.rows(), length, family.embeddingWidth()}, 0, 1);
  }
  TensorTable table;
  table["ids"] = at::tensor(at::ArrayRef<int32_t>(source.ids));
  table["lengths"] = at::tensor(at::ArrayRef<int32_t>(source.lengths));
  writeSafetensors(folder + "/source.safetensors", table);
  std::cout << "{\"ready\": true}" << std::endl;

  Meter meter(c10::Device(c10::kCPU));
  JobContext context(nullptr, &meter);
  const at::NoGradGuard frozen;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string command;
    int count = 0;
    words >> command >> count;
    if (command == "step") {
      std::cout << "{\"ms\": [";
      const std::clock_t cpuStart = std::clock();
      TokenRows answers;
      for (int i = 0; i < count; ++i) {
        const auto start = std::chrono::steady_clock::now();
        const TokenBatch batch = pad(source, family.padId(), family.vocabulary(), at::kCPU);
        Encoded encoded;
        {
          const auto phase = context.phase("encode");
          encoded = family.encodeForAnswers(model.weights, batch);
        }
        {
          const auto phase = context.phase("decode");
          answers = generateTokens(family, model.weights, encoded, prompt, options, context);
        }
        const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
        std::cout << (i == 0 ? "" : ", ") << took.count();
      }
      std::cout << "], \"cpuMs\": " << bench::cpuMsSince(cpuStart) / count;
      std::cout << ", \"ids\": [";
      for (size_t i = 0; i < answers.ids.size(); ++i) std::cout << (i == 0 ? "" : ", ") << answers.ids[i];
      std::cout << "]}" << std::endl;
    } else if (command == "phases") {
      bench::printPhases(meter.finish());
      return;
    }
  }
}

}  // namespace
}  // namespace seprog

int main(int count, char** arguments) {
  if (count != 3) {
    std::cerr << "usage: seprog_generate FOLDER fp32|fp16|bf16|int8\n";
    return 2;
  }
  return seprog::bench::run([&] {
    seprog::serve(arguments[1], seprog::dtypeFrom(arguments[2]));
    return 0;
  });
}
