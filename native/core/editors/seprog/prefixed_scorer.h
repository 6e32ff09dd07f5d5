// A base model that answers in-scope inputs behind a generated prompt, all others as it is (seprog.md section
// 6), and the variants of that rule (ablations.md).
#pragma once

#include <memory>

#include "../../memory/edit_memory.h"
#include "../editor.h"
#include "seprog_modules.h"

namespace seprog {

/// Scope: as the variant decides. Always: every row is prompted.
enum class Gate { Scope, Always };

class PrefixedScorer : public Scorer {
 public:
  using Scorer::generate;
  using Scorer::score;
  using Scorer::targetLogits;

  /// `answering` is `base` or the base with tuned weights. `memory` stays shared: its later changes are seen
  /// by the next call.
  PrefixedScorer(std::shared_ptr<const Model> base, Model answering,
                 std::shared_ptr<const SeprogModules> modules, std::shared_ptr<EditMemory> memory, Gate gate,
                 Figures editFigures = {});

  const Model& base() const override { return *base_; }
  TokenScores score(const PairRows& batch, const RowNotes& notes, JobContext& context) const override;
  at::Tensor targetLogits(const PairRows& batch, const RowNotes& notes, JobContext& context) const override;
  Generation generate(const TokenRows& source, const RowNotes& notes, const GenerateOptions& options,
                      JobContext& context) const override;
  Replies answer(const PairRows& batch, const RowNotes& notes, const GenerateOptions& options,
                 JobContext& context) const override;
  Figures editFigures() const override { return editFigures_; }

  const EditMemory& memory() const { return *memory_; }
  Gate gate() const { return gate_; }
  bool fittedAtEdit() const { return modules_->spec().fitsAtEdit(); }

 private:
  /// Rows that are answered alike: plain without prompts, prompted with them, mixed with logits beside them.
  struct Share {
    std::vector<int64_t> rows;
    at::Tensor prompts_RPD;
    at::Tensor logit_R;
  };
  struct Decision {
    ScopeDecision scope;
    std::vector<Share> shares;  // every row is in one
  };
  Encoded encode(const TokenRows& source, const RowNotes& notes, JobContext& context) const;
  /// Of one batch: h [1, B, H], arg-max [1, B].
  CrossAttention select(const at::Tensor& b_BDb, const at::Tensor& H_KH, const GoldEdits& gold) const;
  bool isPrompted(float logit, int32_t gold) const;
  void checkOracle(const GoldEdits& gold, int64_t rows) const;
  Decision decide(const Encoded& encoded, const RowNotes& notes, JobContext& context) const;

  TokenScores scoreShares(const PairRows& batch, const Targets& targets, const Decision& decision,
                          const Encoded& encoded, JobContext& context) const;
  TokenRows generateShares(const Decision& decision, const Encoded& encoded, const GenerateOptions& options,
                           JobContext& context) const;

  /// Calls answer(share, encoded rows) for each share.
  template <typename Answer>
  void eachShare(const Decision& decision, const Encoded& encoded, Answer&& answer) const;

  std::shared_ptr<const Model> base_;
  Model answering_;
  std::shared_ptr<const SeprogModules> modules_;
  std::shared_ptr<EditMemory> memory_;
  Gate gate_;
  Figures editFigures_;
};

}  // namespace seprog
