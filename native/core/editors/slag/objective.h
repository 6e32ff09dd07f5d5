// What training asks of a model after every inner step of one edit (slag.md section 5). N target tokens, D width.
#pragma once

#include <vector>

#include "../../engine/job.h"
#include "../../models/model.h"
#include "../../train/edit_loss.h"
#include "slag_spec.h"

namespace seprog {

/// One edit, what it should change as well, and what it should leave alone. The last two may hold no target token.
struct EditRows {
  PairRows edit;
  PairRows inScope;
  PairRows others;
};

struct ObjectiveTerms {
  double main = 0;        // token-mean NLL of the edit
  double paraphrase = 0;  // token-mean NLL of the in-scope rows
  double kl = 0;  // KL(before ‖ after), summed over the tokens of the other rows, divided by their number
  double total = 0;  // weighted; the weights of the terms that are there sum to 1
};

class EditObjective {
 public:
  /// `before` answers by the weights in front of this edit; its states of the other rows are kept.
  EditObjective(const SlagSpec& spec, const Model& before, EditRows rows, JobContext& context);

  const PairRows& edit() const { return edit_; }

  struct Value {
    ObjectiveTerms terms;
    Gradients gradients;  // ∂total/∂leaf; empty without gradients
  };
  /// At the weights of `after`, some of which are `leaves`; `ofEdit` is the edit loss there. Rows pass in
  /// micro-batches. Cancellation is checked between them.
  Value at(const Model& after, const TensorTable& leaves, const EditLoss& ofEdit, bool withGradients,
           JobContext& context) const;

  /// The total as one graph over all rows, by its definition: what at() is compared with.
  at::Tensor graph(const Model& after) const;

 private:
  /// Rows of a micro-batch: in-scope rows first, whose answers are wanted, then others, whose answers are kept.
  struct Chunk {
    TokenBatch source;
    Targets targets;
    int64_t wantedTokens = 0;
    at::Tensor before_ND;  // states of the tokens that are kept
  };
  at::Tensor statesOf(const Model& model, const Chunk& chunk) const;

  PairRows edit_;
  TermWeights weights_;
  double perWanted_ = 0;  // a token's share of the in-scope loss
  double perKept_ = 0;    // a token's share of the KL
  Head headBefore_;
  std::vector<Chunk> chunks_;
};

}  // namespace seprog
