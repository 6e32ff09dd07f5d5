// An exception as it leaves the engine: a code and a message, no backtrace.
#pragma once

#include <string>

#include "../error.h"

namespace seprog {

struct Failure {
  ErrorCode code;
  std::string message;
};

/// Call inside a catch block. Memory exhaustion of any kind is OUT_OF_MEMORY, an operation that libtorch refuses in
/// deterministic mode UNSUPPORTED, what libtorch or the standard library throws otherwise INTERNAL.
Failure currentFailure() noexcept;

}  // namespace seprog
