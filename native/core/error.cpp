#include "error.h"

namespace seprog {

const char* codeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::ConfigInvalid:
      return "CONFIG_INVALID";
    case ErrorCode::NativeNotFound:
      return "NATIVE_NOT_FOUND";
    case ErrorCode::NativeIncompatible:
      return "NATIVE_INCOMPATIBLE";
    case ErrorCode::CheckpointInvalid:
      return "CHECKPOINT_INVALID";
    case ErrorCode::WeightMissing:
      return "WEIGHT_MISSING";
    case ErrorCode::ShapeMismatch:
      return "SHAPE_MISMATCH";
    case ErrorCode::DataInvalid:
      return "DATA_INVALID";
    case ErrorCode::Unsupported:
      return "UNSUPPORTED";
    case ErrorCode::NonFinite:
      return "NON_FINITE";
    case ErrorCode::OutOfMemory:
      return "OUT_OF_MEMORY";
    case ErrorCode::Disposed:
      return "DISPOSED";
    case ErrorCode::Aborted:
      return "ABORTED";
    case ErrorCode::Internal:
      return "INTERNAL";
  }
  return "INTERNAL";
}

void fail(ErrorCode code, const std::string& message) { throw Error(code, message); }

}  // namespace seprog
