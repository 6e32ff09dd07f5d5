// One frozen linear layer in every way it could be computed, taking turns in the same minutes. M rows, I inputs, O outputs.
//
// usage: linear_bench [--rounds N] [--threads N]. Prints one line of JSON per shape: the least CPU time of each way over the
// rounds, in milliseconds. `plain`: as the engine multiplies with a graph; `onednn`, `mkl`: by a weight in the library's own
// order; `back…`: the way to the rows, dX = dY W; `bf16`, `int8`: by a weight of that type, rows rounded within the time.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <functional>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "core/layers/narrow_linear.h"
#include "core/tensor/matmul_backend.h"
#include "core/tensor/narrow.h"
#include "core/tensor/onednn_order.h"
#include "core/tensor/random.h"
#include "driver.h"

namespace seprog {
namespace {

struct Way {
  const char* name;
  std::function<void()> run;
};

at::Tensor call(const char* name, std::vector<c10::IValue> stack) {
  c10::Dispatcher::singleton().findSchemaOrThrow(name, "").callBoxed(&stack);
  return stack.at(0).toTensor();
}

/// MKL's order is that of one number of rows.
std::function<void()> mklProduct(const at::Tensor& x_MI, const at::Tensor& weight_OI) {
  const int64_t rows = x_MI.size(0);
  const at::Tensor ordered = call("mkl::_mkl_reorder_linear_weight", {weight_OI, rows});
  return [=] { call("mkl::_mkl_linear", {x_MI, ordered, weight_OI, c10::IValue(), rows}); };
}

std::vector<Way> ways(int64_t M, int64_t I, int64_t O) {
  const at::Tensor x_MI = Random(1, "x").normalTensor({M, I}, 0, 1);
  const at::Tensor g_MO = Random(1, "g").normalTensor({M, O}, 0, 1);
  const at::Tensor W_OI = Random(1, "W").normalTensor({O, I}, 0, 0.05);
  const at::Tensor W_IO = W_OI.t().contiguous();
  const at::Tensor ordered = oneDnnOrder(W_OI);
  const at::Tensor orderedBack = oneDnnOrder(W_IO);
  const at::Tensor half_OI = W_OI.to(at::kBFloat16);
  const at::Tensor int8_OI = quantised(W_OI, 0);
  return {{"plain", [=] { at::linear(x_MI, W_OI); }},
          {"onednn", [=] { oneDnnLinear(x_MI, ordered, {}); }},
          {"mkl", mklProduct(x_MI, W_OI)},
          {"backPlain", [=] { at::mm(g_MO, W_OI); }},
          {"backOnednn", [=] { oneDnnLinear(g_MO, orderedBack, {}); }},
          {"backMkl", mklProduct(g_MO, W_IO)},
          {"bf16", [=] { narrowLinear(x_MI, half_OI); }},
          {"int8", [=] { narrowLinear(x_MI, int8_OI); }}};
}

double cpuMs(const Way& way) {
  const std::clock_t start = std::clock();
  way.run();
  return bench::cpuMsSince(start);
}

void measure(int64_t M, int64_t I, int64_t O, int rounds) {
  const std::vector<Way> all = ways(M, I, O);
  std::vector<double> least;
  for (const Way& way : all) least.push_back((way.run(), cpuMs(way)));
  for (int round = 1; round < rounds; ++round) {
    for (size_t w = 0; w < all.size(); ++w) least[w] = std::min(least[w], cpuMs(all[w]));
  }
  std::printf("{\"rows\": %ld, \"inputs\": %ld, \"outputs\": %ld, \"threads\": %d", M, I, O,
              at::get_num_threads());
  for (size_t w = 0; w < all.size(); ++w) std::printf(", \"%s\": %.3f", all[w].name, least[w]);
  std::printf("}\n");
  std::fflush(stdout);
}

int serve(int count, char** arguments) {
  int rounds = 7;
  int threads = 1;
  for (int i = 1; i + 1 < count; i += 2) {
    int& option = std::strcmp(arguments[i], "--threads") == 0 ? threads : rounds;
    option = std::max(1, std::stoi(arguments[i + 1]));
  }
  at::set_num_threads(threads);
  const at::NoGradGuard noGraph;
  chooseMatmulBackend();  // as the engine does when it starts
  const std::vector<std::pair<int64_t, int64_t>> layers = {{512, 512}, {512, 2048}, {2048, 512},
                                                           {768, 768}, {768, 3072}, {3072, 768}};
  const std::vector<std::pair<int64_t, int64_t>> heads = {{512, 32128}, {768, 50265}};
  for (const int64_t M : {16, 64, 512, 1536}) {
    for (const auto& [I, O] : layers) measure(M, I, O, rounds);
    if (M > 512) continue;
    for (const auto& [I, O] : heads) measure(M, I, O, rounds);
  }
  return 0;
}

}  // namespace
}  // namespace seprog

int main(int count, char** arguments) {
  return seprog::bench::run([&] { return seprog::serve(count, arguments); });
}
