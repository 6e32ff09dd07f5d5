// The choice of a matrix library, kept between processes: probing takes longer than all else that an engine does at start.
#pragma once

#include <optional>
#include <string>

#include "matmul_backend.h"

namespace seprog {

/// The file for this processor, libtorch and number of threads, below the cache folder; empty without one.
std::string matmulFile(int threads);

/// What an earlier probe chose, unless it is older than a week: a machine that was busy then may have chosen badly. Nothing
/// for a file that is not there, was written by another version or cannot be read.
std::optional<MatmulBackend> recallMatmul(const std::string& file);

/// A folder that cannot be written costs the next process a probe.
void rememberMatmul(const std::string& file, const MatmulBackend& backend);

}  // namespace seprog
