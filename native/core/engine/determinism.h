// What makes this process compute the same bits again: on the same machine, with as many threads.
#pragma once

#include <c10/core/Device.h>

namespace seprog {

/// For the whole process and for good: libtorch refuses kernels whose sums depend on timing (UNSUPPORTED from the call
/// that needs one), and the libraries below it fix how they split their work. These read their settings once, so this
/// belongs before the process's first tensor operation. The matrix library itself: chooseMatmulBackend(Fixed).
void beDeterministic(const c10::Device& device);

}  // namespace seprog
