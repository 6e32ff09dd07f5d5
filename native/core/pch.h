#pragma once
// The precompiled header of every native target: the part of libtorch that the engine uses, and nothing wider
// (<torch/torch.h> costs another 10 s a file).

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>
#include <torch/version.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#if TORCH_VERSION_MAJOR != SEPROG_TORCH_MAJOR || TORCH_VERSION_MINOR != SEPROG_TORCH_MINOR
#error "the headers of another libtorch come before those of SEPROG_LIBTORCH on the include path"
#endif
