// The fine-tuning gradient of a set of edits as its factors: per edited matrix the inputs u and the gradients δ at the
// outputs of every token (mend.md sections 1 and 2). N kept positions, I inputs and O outputs of a matrix.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "../../engine/job.h"
#include "../../models/model.h"
#include "mend_modules.h"

namespace seprog {

/// Rows of which neither factor is all zeros: Σ δ uᵀ is the gradient of the matrix.
struct Factors {
  at::Tensor u_NI;
  at::Tensor delta_NO;
};

struct ChunkFactors {
  std::vector<Factors> byMatrix;
  double loss = 0;  // the chunk's share of L_edit
};

/// Of edits first … first+count−1; δ is that of the token mean, or sum, over all of `edits`; the loss is the mean. `model` is not touched and only
/// the way from the loss to the outputs is differentiated. Throws DATA_INVALID without a target token.
ChunkFactors editFactors(const Model& model, const MendModules& modules, const PairRows& edits, int64_t first,
                         int64_t count);

}  // namespace seprog
