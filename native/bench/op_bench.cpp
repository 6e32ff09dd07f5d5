// The fused ops beside their references and beside what bounds them, taking turns in the same minutes.
//
// usage: op_bench [--rounds N] [--threads N] [--device cuda:N] [NAME…]. Prints one line of JSON per case and way: the least
// and the median of wall and CPU time over the rounds (on a GPU its own time too), and the highest bytes of the device that
// a run held beyond what stood before it. A NAME is the beginning of a case's name; without one every case runs.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "core/engine/devices.h"
#include "core/instrument/device_memory.h"
#include "core/instrument/stopwatch.h"
#include "core/ops/cross_attention/cross_attention.h"
#include "core/ops/kernels.h"
#include "core/ops/masked_kl/masked_kl.h"
#include "core/tensor/matmul_backend.h"
#include "core/tensor/random.h"
#include "core/train/losses.h"
#include "core/train/token_kl.h"
#include "driver.h"

namespace seprog {
namespace {

struct Way {
  std::string name;
  std::function<void()> run;
};

/// What a case is made of exists only while it runs.
struct Case {
  std::string name;
  std::function<std::vector<Way>()> prepare;
};

Way under(Kernels policy, std::function<void()> run) {
  return {kernelsName(policy), [policy, run = std::move(run)] {
            useKernels(policy);
            run();
            useKernels(Kernels::Fused);
          }};
}

/// Where the cases are computed.
c10::Device& device() {
  static c10::Device device(c10::DeviceType::CPU);
  return device;
}

at::Tensor normals(at::IntArrayRef shape, const char* name) {
  return Random(1, name).normalTensor(shape, 0, 1).to(device());
}

/// Edit selection over a memory of K rows: R queries, width H.
Case selection(int64_t R, int64_t K, int64_t H, bool withReference) {
  return {"select-" + std::to_string(R) + "x" + std::to_string(K) + "x" + std::to_string(H), [=] {
            const double scale = 1.0 / std::sqrt(static_cast<double>(H));
            const at::Tensor q = normals({1, R, H}, "q");
            const at::Tensor rows = normals({1, K, H}, "rows");
            std::vector<Way> ways;
            ways.push_back(under(Kernels::Fused, [=] { crossAttention(q, rows, scale, {.argmax = true}); }));
            if (withReference) {
              ways.push_back(
                  under(Kernels::Reference, [=] { crossAttention(q, rows, scale, {.argmax = true}); }));
            }
            // The two matrix products alone, in blocks that fit a cache as well.
            ways.push_back({"products", [=] {
                              constexpr int64_t kBlock = 4096;
                              const at::Tensor s = at::empty({R, std::min(kBlock, K)}, q.options());
                              const at::Tensor h = at::zeros({R, H}, q.options());
                              for (int64_t first = 0; first < K; first += kBlock) {
                                const int64_t count = std::min(kBlock, K - first);
                                const at::Tensor block = rows[0].narrow(0, first, count);
                                at::Tensor part = s.narrow(1, 0, count);
                                at::mm_out(part, q[0], block.t());
                                h.addmm_(part, block);
                              }
                            }});
            return ways;
          }};
}

/// Edit selection as a training step has it: n episodes of K edits, 2K inputs each, forward and backward.
Case training(int64_t n, int64_t K, int64_t H) {
  return {"select-training-" + std::to_string(n) + "x" + std::to_string(K) + "x" + std::to_string(H), [=] {
            const auto step = [=] {
              const at::Tensor q = normals({n, 2 * K, H}, "q").requires_grad_();
              const at::Tensor rows = normals({n, K, H}, "rows").requires_grad_();
              const at::Tensor dh = at::ones({n, 2 * K, H}, q.options());
              return [=] {
                const at::Tensor h = crossAttention(q, rows, 0.05, {.argmax = true}).h_nRH;
                torch::autograd::grad({h}, {q, rows}, {dh});
              };
            }();
            return std::vector<Way>{under(Kernels::Fused, step), under(Kernels::Reference, step)};
          }};
}

/// The loss of N target tokens and its gradient for the states, behind a frozen head.
Case tokenLoss(int64_t N, int64_t D, int64_t V) {
  return {"nll-" + std::to_string(N) + "x" + std::to_string(D) + "x" + std::to_string(V), [=] {
            const at::Tensor h_ND = normals({N, D}, "h");
            const Head head = {normals({V, D}, "head").mul_(0.05), 1, {}};
            const at::Tensor labels = at::arange(N).mul(97).remainder(V).to(device());
            const at::Tensor weight = at::full({N}, 1.0 / static_cast<double>(N), h_ND.options());
            const auto blocks = [=] { tokenNllGradients(h_ND, head, labels, weight, false); };
            std::vector<Way> ways{under(Kernels::Fused, blocks), under(Kernels::Reference, blocks)};
            // As one writes it: all logits, their log-softmax, the labels' entries, arg-max, autograd.
            ways.push_back({"composition", [=] {
                              const at::Tensor states = h_ND.detach().requires_grad_();
                              const at::Tensor logits = at::linear(states, head.weight_VD);
                              const at::Tensor argmax = logits.detach().argmax(1);
                              const at::Tensor logProb =
                                  at::log_softmax(logits, 1).gather(1, labels.unsqueeze(1));
                              torch::autograd::grad({logProb.squeeze(1).mul(weight).sum().neg()}, {states});
                            }});
            ways.push_back({"products", [=] {
                              const at::Tensor logits = at::linear(h_ND, head.weight_VD);
                              at::mm(logits, head.weight_VD);
                            }});
            return ways;
          }};
}

/// The divergence of N target tokens of two models and its gradient for one side's states, behind frozen heads.
Case tokenDivergence(int64_t N, int64_t D, int64_t V) {
  return {"kl-" + std::to_string(N) + "x" + std::to_string(D) + "x" + std::to_string(V), [=] {
            const at::Tensor p_ND = normals({N, D}, "p"), q_ND = normals({N, D}, "q");
            const Head head = {normals({V, D}, "head").mul_(0.05), 1, {}};
            const at::Tensor weight = at::full({N}, 1.0 / static_cast<double>(N), q_ND.options());
            const auto blocks = [=] { tokenKlGradients(p_ND, head, q_ND, head, weight, false); };
            std::vector<Way> ways{under(Kernels::Fused, blocks), under(Kernels::Reference, blocks)};
            // As one writes it: all logits, both log-softmaxes, libtorch's own divergence, autograd.
            ways.push_back({"composition", [=] {
                              const at::Tensor states = q_ND.detach().requires_grad_();
                              const at::Tensor logP = at::log_softmax(at::linear(p_ND, head.weight_VD), 1);
                              const at::Tensor logQ = at::log_softmax(at::linear(states, head.weight_VD), 1);
                              const at::Tensor kl = at::kl_div(logQ, logP, at::Reduction::None, true).sum(1);
                              torch::autograd::grad({kl.mul(weight).sum()}, {states});
                            }});
            ways.push_back({"products", [=] {
                              at::linear(p_ND, head.weight_VD);
                              at::mm(at::linear(q_ND, head.weight_VD), head.weight_VD);
                            }});
            return ways;
          }};
}

/// The divergence alone, of logits that are there: its value, then its value and gradient within a graph.
Case divergence(int64_t N, int64_t V, bool withGradient) {
  const std::string name = withGradient ? "kl-graph-" : "kl-value-";
  return {name + std::to_string(N) + "x" + std::to_string(V), [=] {
            const at::Tensor p_NV = normals({N, V}, "p"), q_NV = normals({N, V}, "q");
            q_NV.set_requires_grad(withGradient);
            const auto run = [=] {
              const at::Tensor kl_N = maskedKl(p_NV, q_NV);
              if (withGradient) torch::autograd::grad({kl_N.sum()}, {q_NV});
            };
            return std::vector<Way>{under(Kernels::Fused, run), under(Kernels::Reference, run)};
          }};
}

/// SEPROG's prompt network up to the input of a decoder, [B, P + T, D], forward and backward for its four tensors and
/// its own input: B inputs, H edit width, P prompt rows, T tokens behind them, D embedding width.
Case promptNetwork(int64_t B, int64_t H, int64_t P, int64_t T, int64_t D) {
  return {"prompt-" + std::to_string(B) + "x" + std::to_string(H) + "x" + std::to_string(P * D), [=] {
            const auto leaf = [](at::IntArrayRef shape, const char* name) {
              return normals(shape, name).mul_(0.05).requires_grad_();
            };
            const at::Tensor h = leaf({B, H}, "h"), W0 = leaf({H, H}, "W0"), b0 = leaf({H}, "b0"),
                             W1 = leaf({P * D, H}, "W1"), b1 = leaf({P * D}, "b1");
            const at::Tensor tokens = normals({B, T, D}, "tokens"), dx = normals({B, P + T, D}, "dx");
            std::vector<Way> ways;
            ways.push_back({"composition", [=] {
                              const at::Tensor u = at::relu(at::linear(h, W0, b0));
                              const at::Tensor prompts = at::linear(u, W1, b1).view({B, P, D});
                              const at::Tensor x = at::cat({prompts, tokens}, 1);
                              torch::autograd::grad({x}, {h, W0, b0, W1, b1}, {dx});
                            }});
            // All that fusing could do: the second product writes where the decoder reads, and its gradient is read there.
            ways.push_back({"into the slots", [=] {
                              const at::NoGradGuard noGrad;
                              const at::Tensor u = at::linear(h, W0, b0).relu_();
                              const at::Tensor x = at::empty({B, P + T, D}, tokens.options());
                              at::Tensor slots = x.view({B, (P + T) * D}).narrow(1, 0, P * D);
                              at::addmm_out(slots, b1, u, W1.t());
                              x.narrow(1, P, T).copy_(tokens);
                              const at::Tensor dSlots = dx.view({B, (P + T) * D}).narrow(1, 0, P * D);
                              const at::Tensor du = at::mm(dSlots, W1).mul_(u.gt(0));
                              at::mm(dSlots.t(), u);
                              dSlots.sum(0);
                              at::mm(du.t(), h);
                              du.sum(0);
                              at::mm(du, W0);
                            }});
            ways.push_back({"products", [=] {
                              const at::NoGradGuard noGrad;
                              const at::Tensor u = at::mm(h, W0.t()), prompts = at::mm(u, W1.t());
                              at::mm(prompts, W1);
                              at::mm(prompts.t(), u);
                              at::mm(u.t(), h);
                              at::mm(u, W0);
                            }});
            return ways;
          }};
}

std::vector<Case> cases() {
  return {selection(256, 65536, 768, true),
          selection(256, 1000000, 768, false),
          selection(16, 10000, 512, true),
          training(8, 8, 512),
          training(1, 128, 768),
          tokenLoss(512, 768, 50265),
          tokenLoss(512, 512, 32128),
          tokenDivergence(512, 768, 50265),
          tokenDivergence(512, 512, 32128),
          divergence(128, 50265, false),
          divergence(128, 50265, true),
          promptNetwork(64, 768, 32, 8, 512),
          promptNetwork(64, 768, 32, 8, 768)};
}

struct Times {
  std::vector<double> wallMs, cpuMs, deviceMs;
  int64_t peakBytes = 0;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void measure(const Way& way, Times& times) {
  PeakWindow memory(DeviceMemory::of(device()));
  const std::clock_t cpu = std::clock();
  Stopwatch stopwatch(device());
  way.run();
  const auto [wallNs, deviceNs] = stopwatch.read();
  times.wallMs.push_back(static_cast<double>(wallNs) * 1e-6);
  times.cpuMs.push_back(bench::cpuMsSince(cpu));
  if (deviceNs >= 0) times.deviceMs.push_back(static_cast<double>(deviceNs) * 1e-6);
  times.peakBytes = std::max(times.peakBytes, memory.read().peakBytes - memory.baselineBytes());
}

void runCase(const Case& one, int rounds) {
  const std::vector<Way> ways = one.prepare();
  std::vector<Times> times(ways.size());
  for (const Way& way : ways) way.run();  // warm
  for (int round = 0; round < rounds; ++round) {
    for (size_t w = 0; w < ways.size(); ++w) measure(ways[w], times[w]);
  }
  for (size_t w = 0; w < ways.size(); ++w) {
    const Times& own = times[w];
    std::string more;
    if (!own.deviceMs.empty()) more += ", \"medianDeviceMs\": " + std::to_string(median(own.deviceMs));
    std::printf(
        "{\"case\": \"%s\", \"way\": \"%s\", \"cpuMs\": %.2f, \"medianCpuMs\": %.2f, \"wallMs\": %.2f, "
        "\"medianWallMs\": %.2f, \"peakMiB\": %.1f, \"threads\": %d%s}\n",
        one.name.c_str(), ways[w].name.c_str(), *std::min_element(own.cpuMs.begin(), own.cpuMs.end()),
        median(own.cpuMs), *std::min_element(own.wallMs.begin(), own.wallMs.end()), median(own.wallMs),
        static_cast<double>(own.peakBytes) / (1 << 20), at::get_num_threads(), more.c_str());
  }
  std::fflush(stdout);
}

int serve(int count, char** arguments) {
  int rounds = 5;
  int threads = 1;
  std::vector<std::string> names;
  for (int i = 1; i < count; ++i) {
    const bool hasValue = i + 1 < count;
    if (std::strcmp(arguments[i], "--rounds") == 0 && hasValue) {
      rounds = std::max(1, std::stoi(arguments[++i]));
    } else if (std::strcmp(arguments[i], "--threads") == 0 && hasValue) {
      threads = std::max(1, std::stoi(arguments[++i]));
    } else if (std::strcmp(arguments[i], "--device") == 0 && hasValue) {
      device() = parseDevice(arguments[++i]);
    } else if (arguments[i][0] == '-') {
      std::cerr << "usage: op_bench [--rounds N] [--threads N] [--device cuda:N] [NAME…]\n";
      return 2;
    } else {
      names.emplace_back(arguments[i]);
    }
  }
  at::set_num_threads(threads);
  if (device().is_cpu()) chooseMatmulBackend();  // as the engine does when it starts
  for (const Case& one : cases()) {
    const bool wanted =
        names.empty() || std::any_of(names.begin(), names.end(),
                                     [&](const std::string& name) { return one.name.starts_with(name); });
    if (wanted) runCase(one, rounds);
  }
  return 0;
}

}  // namespace
}  // namespace seprog

int main(int count, char** arguments) {
  return seprog::bench::run([&] { return seprog::serve(count, arguments); });
}
