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

  const PairRows& edit() const { return rows_.edit; }

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
  struct OtherRows {
    TokenBatch source;
    Targets targets;
    at::Tensor before_ND;
  };
  struct OtherLoss {
    double loss = 0;
    Gradients gradients;
  };
  at::Tensor statesOf(const Model& model, const TokenBatch& source, const Targets& targets) const;
  OtherLoss klOf(const Model& after, const TensorTable& leaves, bool withGradients,
                 JobContext& context) const;

  EditRows rows_;
  TermWeights weights_;
  int64_t microBatch_;
  Head headBefore_;
  std::vector<OtherRows> others_;  // micro-batches
};

}  // namespace seprog
