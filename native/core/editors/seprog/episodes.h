// Packed episodes as the losses read them.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "../editor.h"

namespace seprog {

/// An episode batch, checked and padded. n episodes of K edits; B = nK rows of a kind.
struct Episodes {
  std::vector<int64_t> ns;  // ways to divide the rows into episodes, the batch's own first
  TokenBatch z;             // edit texts, B rows
  TokenBatch x;             // distinct source rows of the scopes that are read
  at::Tensor inScope_B;     // rows of x
  at::Tensor outScope_B;    // rows of x; undefined when they are not read
  TokenRows target;         // y of the in-scope rows
};

/// Without `readsOutScope` the out-of-scope rows may be anything. Throws DATA_INVALID when row counts do not fit, an id is outside its vocabulary or there is no target
/// token.
Episodes prepareEpisodes(const EpisodeBatch& batch, const Model& base, const Architecture& editEncoder,
                         bool readsOutScope = true);

}  // namespace seprog
