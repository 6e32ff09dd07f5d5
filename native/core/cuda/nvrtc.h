// NVIDIA's run-time compiler, as every CUDA build of libtorch brings it along. Opened when it is first needed.
#pragma once

#include <string>

#include "kernel_source.h"

namespace seprog::cuda {

class Nvrtc {
 public:
  /// The process's own. Never throws; problem() says what is missing.
  static const Nvrtc& get();

  /// Empty when the compiler is there, else one sentence.
  const std::string& problem() const { return problem_; }
  /// "12.8".
  const std::string& version() const { return version_; }

  struct Compiled {
    std::string cubin;
    std::string log;  // the assembler's figures of every kernel: registers, spills
  };
  /// For an architecture such as 90. Throws UNSUPPORTED with the compiler's own words.
  Compiled compile(const KernelSource& source, int architecture) const;

 private:
  Nvrtc();

  struct Functions;
  const Functions* functions_ = nullptr;
  std::string problem_;
  std::string version_;
};

}  // namespace seprog::cuda
