// The one exception type of the core. Every message reads
// "expected X for `path` but received Y" and ends with what to do where that is not obvious.
#pragma once

#include <stdexcept>
#include <string>

namespace seprog {

enum class ErrorCode {
  ConfigInvalid,
  NativeNotFound,
  NativeIncompatible,
  CheckpointInvalid,
  WeightMissing,
  ShapeMismatch,
  DataInvalid,
  Unsupported,
  NonFinite,
  OutOfMemory,
  Disposed,
  Aborted,
  Internal,
};

/// The stable name a caller sees, e.g. "WEIGHT_MISSING".
const char* codeName(ErrorCode code);

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

[[noreturn]] void fail(ErrorCode code, const std::string& message);

}  // namespace seprog
