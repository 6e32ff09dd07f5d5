#include "determinism.h"

#include <ATen/Context.h>

#include <cstdlib>

namespace seprog {

void beDeterministic(const c10::Device& device) {
  at::Context& context = at::globalContext();
  context.setDeterministicAlgorithms(true, /*warn_only=*/false);
  // Filling fresh memory is for finding reads of it, and would cost a pass over every tensor.
  context.setDeterministicFillUninitializedMemory(false);
  context.setDeterministicMkldnn(true);
  // MKL: fixed block sizes and reductions, whichever kernels it takes here. A user's own choice stays.
  setenv("MKL_CBWR", "AUTO", 0);
  if (device.is_cuda()) {
    context.setDeterministicCuDNN(true);
    context.setBenchmarkCuDNN(false);
    // cuBLAS keeps one workspace a stream.
    setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);
  }
}

}  // namespace seprog
