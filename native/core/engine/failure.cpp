#include "failure.h"

#include <c10/util/Exception.h>

#include <exception>
#include <new>

namespace seprog {

Failure currentFailure() noexcept {
  try {
    throw;
  } catch (const Error& error) {
    return {error.code(), error.what()};
  } catch (const std::bad_alloc&) {
    return {ErrorCode::OutOfMemory,
            "expected memory for the call but the system gave none. Use a smaller batch or model"};
  } catch (const c10::OutOfMemoryError& error) {
    return {ErrorCode::OutOfMemory, error.what_without_backtrace()};
  } catch (const c10::Error& error) {
    const std::string words = error.what_without_backtrace();
    const bool refused = words.find("does not have a deterministic implementation") != std::string::npos;
    return {refused ? ErrorCode::Unsupported : ErrorCode::Internal, words};
  } catch (const std::exception& error) {
    return {ErrorCode::Internal, error.what()};
  } catch (...) {
    return {ErrorCode::Internal, "an exception of unknown type"};
  }
}

}  // namespace seprog
