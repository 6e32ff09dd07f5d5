// M, N rows and columns of the product; K the summed dimension.
#include "matmul_backend.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <limits>
#include <mutex>

#include "../error.h"
#include "matmul_memory.h"

namespace seprog {
namespace {

// A shape like those a small transformer spends its time in, large enough that timing noise stays below the margin.
constexpr int64_t kProbeM = 768, kProbeK = 512, kProbeN = 512;
constexpr int kRepeats = 7;
// The choice must not flip between two runs on one machine: last bits of results depend on it.
constexpr double kClearlyFaster = 1.25;
// fp32 accumulation differs by order of summation only; a single bf16 rounding of the inputs is a thousand times worse.
constexpr double kErrorFactor = 10.0;

std::atomic<bool> packs = false;

void route(bool onednn) { at::globalContext().setFloat32MatmulPrecision(onednn ? "medium" : "highest"); }

struct Probe {
  double gflops = 0;
  double error = 0;
};

double bestSeconds(const std::function<void()>& run) {
  double best = std::numeric_limits<double>::infinity();
  for (int repeat = 0; repeat <= kRepeats; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (repeat > 0) best = std::min(best, seconds.count());
  }
  return best;
}

Probe probe(const at::Tensor& a_MK, const at::Tensor& b_KN, const at::Tensor& exact_MN) {
  at::Tensor product_MN;
  const double seconds = bestSeconds([&] { product_MN = at::matmul(a_MK, b_KN); });
  const double flops = 2.0 * kProbeM * kProbeK * kProbeN;
  return {flops / seconds * 1e-9, (product_MN.to(at::kDouble) - exact_MN).abs().max().item<double>()};
}

std::string wish() {
  const char* wanted = std::getenv("SEPROG_MATMUL");
  return wanted == nullptr ? "" : wanted;
}

MatmulBackend choose(MatmulChoice choice) {
  MatmulBackend backend;
  const std::string wanted = wish();
  route(false);
  if (wanted == "default") {
    backend.name = "default";
    backend.reason = "asked for by SEPROG_MATMUL";
    return backend;
  }
  if (choice == MatmulChoice::Fixed && !wanted.starts_with("onednn")) {
    backend.name = "default";
    backend.reason = "fixed in deterministic mode";
    return backend;
  }
  auto generator = at::detail::createCPUGenerator(1);
  const at::Tensor a_MK = at::randn({kProbeM, kProbeK}, generator, at::kFloat);
  const at::Tensor b_KN = at::randn({kProbeK, kProbeN}, generator, at::kFloat);
  const at::Tensor exact_MN = at::matmul(a_MK.to(at::kDouble), b_KN.to(at::kDouble));
  const Probe plain = probe(a_MK, b_KN, exact_MN);
  route(true);
  const Probe onednn = probe(a_MK, b_KN, exact_MN);
  backend.defaultGflops = plain.gflops;
  backend.onednnGflops = onednn.gflops;
  backend.defaultError = plain.error;
  backend.onednnError = onednn.error;
  const bool exact = onednn.error <= kErrorFactor * plain.error;
  const bool faster = onednn.gflops >= kClearlyFaster * plain.gflops;
  const bool asked = wanted.starts_with("onednn");
  const bool take = exact && (faster || asked);
  route(take);
  backend.byProbe = take && !asked;
  packs = take && wanted == "onednn-packed";
  backend.name = !take ? "default" : packs ? "onednn-packed" : "onednn";
  if (take) {
    backend.reason = asked ? "asked for by SEPROG_MATMUL" : "clearly faster here at the same precision";
  } else {
    backend.reason = exact ? "oneDNN is not clearly faster here" : "oneDNN would round to bf16 here";
  }
  return backend;
}

/// What an earlier process has probed counts for this one, also where oneDNN is asked for and only has to be exact.
MatmulBackend recallOrChoose(MatmulChoice choice) {
  const std::string wanted = wish();
  const bool byProbe = wanted.empty() && choice == MatmulChoice::ByProbe;
  const std::string file = matmulFile(at::get_num_threads());
  if (byProbe || wanted.starts_with("onednn")) {
    auto known = recallMatmul(file);
    if (known && (byProbe || known->name == wanted)) {
      route(known->name != "default");
      packs = known->name == "onednn-packed";
      if (!byProbe) {
        known->byProbe = false;
        known->reason = "asked for by SEPROG_MATMUL";
      }
      return *known;
    }
  }
  const MatmulBackend backend = choose(choice);
  if (byProbe) rememberMatmul(file, backend);
  return backend;
}

}  // namespace

bool packsFrozenWeights() { return packs; }
void packFrozenWeights(bool on) { packs = on; }

const MatmulBackend& chooseMatmulBackend(MatmulChoice choice) {
  static std::once_flag once;
  static MatmulBackend backend;
  std::call_once(once, [choice] { backend = recallOrChoose(choice); });
  if (choice == MatmulChoice::Fixed && backend.byProbe) {
    fail(ErrorCode::Unsupported,
         "expected the first engine of the process to ask for `engine.deterministic` but an earlier one has "
         "chosen its matrix library by speed; open the deterministic engine first or set SEPROG_MATMUL");
  }
  return backend;
}

}  // namespace seprog
