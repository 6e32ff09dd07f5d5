// A run of edits one on top of the other, and the gradient of its objective for the hypernetwork (slag.md sections 4
// to 6).
#pragma once

#include <vector>

#include "hypernetwork.h"
#include "objective.h"

namespace seprog {

struct RunEdit {
  TokenRows text;  // one condition text
  EditRows rows;
};

/// Sums over the edits of a run.
struct RunLosses {
  ObjectiveTerms terms;  // total over all executed steps, the others behind the last step of each edit
  int64_t steps = 0;
  int64_t rightEdits = 0;  // behind their last step
};

/// Takes the edits in order from `accumulated`, the running update, and leaves theirs in it; between inner steps it
/// is a constant. With `gradients`, the gradient of weight · Σ total for the parameters of `network`, which are leaves
/// then, is added to them, along the way that the spec's `hypergradient` says. Cancellation is checked between steps and
/// micro-batches. Throws DATA_INVALID and NON_FINITE.
RunLosses passRun(const Model& base, const Hypernetwork& network, const std::vector<RunEdit>& edits,
                  double weight, TensorTable& accumulated, Gradients* gradients, JobContext& context);

}  // namespace seprog
