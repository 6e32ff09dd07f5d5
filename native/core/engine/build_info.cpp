#include "build_info.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/util/Exception.h>
#include <torch/types.h>

#include <thread>

namespace seprog {
namespace {

#if defined(__clang__)
constexpr const char* kCompiler = "clang " __clang_version__;
#else
constexpr const char* kCompiler = "gcc " __VERSION__;
#endif

/// The value of "NAME=value," in libtorch's own description of its build.
std::string setting(const std::string& configuration, const std::string& name) {
  const size_t start = configuration.find(name + "=");
  if (start == std::string::npos) return "unknown";
  const size_t from = start + name.size() + 1;
  return configuration.substr(from, configuration.find_first_of(",\n ", from) - from);
}

// a_MK, b_KN hold small whole numbers, so that every sum is exact in float whatever the order.
bool productsAreExact() {
  constexpr int64_t M = 33;
  constexpr int64_t K = 70;
  constexpr int64_t N = 49;
  at::Tensor a_MK = (at::arange(M * K, at::kFloat).remainder(7) - 3).reshape({M, K}).set_requires_grad(true);
  at::Tensor b_KN = (at::arange(K * N, at::kFloat).remainder(5) - 2).reshape({K, N});
  at::Tensor product_MN = a_MK.matmul(b_KN);
  product_MN.sum().backward();

  const float* a = a_MK.data_ptr<float>();
  const float* b = b_KN.data_ptr<float>();
  const float* product = product_MN.data_ptr<float>();
  const at::Tensor gradient_MK = a_MK.grad().contiguous();
  const float* gradient = gradient_MK.data_ptr<float>();
  for (int64_t m = 0; m < M; ++m) {
    for (int64_t n = 0; n < N; ++n) {
      double sum = 0;
      for (int64_t k = 0; k < K; ++k) sum += double{a[m * K + k]} * double{b[k * N + n]};
      if (product[m * N + n] != sum) return false;
    }
    for (int64_t k = 0; k < K; ++k) {
      double sum = 0;
      for (int64_t n = 0; n < N; ++n) sum += double{b[k * N + n]};
      if (gradient[m * K + k] != sum) return false;
    }
  }
  return true;
}

}  // namespace

BuildInfo buildInfo() {
  const std::string configuration = at::show_config();
  return {
      .libtorchCompiled = SEPROG_TORCH_VERSION,
      .libtorchLoaded = setting(configuration, "TORCH_VERSION"),
      .compiler = kCompiler,
      .blas = setting(configuration, "BLAS_INFO"),
      .cpuCapability = at::get_cpu_capability(),
  };
}

bool selfTest() {
  bool right = false;
  std::thread worker([&] {
    try {
      at::get_num_threads();
      at::set_num_threads(1);
      right = productsAreExact();
    } catch (...) {
      right = false;
    }
  });
  worker.join();
  return right;
}

}  // namespace seprog
