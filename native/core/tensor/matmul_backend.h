// Which library multiplies fp32 matrices on this CPU. libtorch's default (MKL) leaves AVX-512 unused on some
// processors, where oneDNN's kernels are about twice as fast at the same precision; on others it is the other way round.
#pragma once

#include <string>

namespace seprog {

struct MatmulBackend {
  std::string name;          // "default" | "onednn" | "onednn-packed"
  std::string reason;        // one sentence for people
  bool byProbe = false;      // whether oneDNN was taken because it was faster
  double defaultGflops = 0;  // best of the probe, 0 when not probed
  double onednnGflops = 0;
  double defaultError = 0;  // largest absolute error against double
  double onednnError = 0;
};

/// ByProbe takes the clearly faster library; Fixed libtorch's own choice, so that last bits cannot hang on a timing.
enum class MatmulChoice { ByProbe, Fixed };

/// Probes once per process (about 20 ms) unless an earlier process has lately (matmul_memory.h), routes libtorch's fp32
/// matrix products accordingly and remembers the answer.
/// oneDNN is taken only when it is clearly faster and keeps fp32 precision: libtorch can only be asked for it together
/// with a permission to round to bf16, which oneDNN uses on processors with AMX; those are recognised by the error.
/// SEPROG_MATMUL=default|onednn|onednn-packed decides instead (oneDNN still has to be exact); the last one packs frozen
/// weights too (layers/packed_weight.h), which trades memory for time. Threads: call from the engine thread.
/// Throws Error(UNSUPPORTED) if Fixed is asked for after a probe has taken oneDNN.
const MatmulBackend& chooseMatmulBackend(MatmulChoice choice = MatmulChoice::ByProbe);

/// Whether the choice was made and says so, or packFrozenWeights() did.
bool packsFrozenWeights();
/// For tests and benches, which compare both.
void packFrozenWeights(bool on);

}  // namespace seprog
