// A base model that answers in-scope inputs behind a generated prompt, all others as it is (seprog.md section
// 6).
#pragma once

#include <memory>

#include "../../memory/edit_memory.h"
#include "../editor.h"
#include "seprog_modules.h"

namespace seprog {

enum class Gate { Scope, Always };

class PrefixedScorer : public Scorer {
 public:
  /// `memory` stays shared: its later changes are seen by the next call.
  PrefixedScorer(std::shared_ptr<const Model> base, std::shared_ptr<const SeprogModules> modules,
                 std::shared_ptr<EditMemory> memory, Gate gate);

  const Model& base() const override { return *base_; }
  TokenScores score(const PairRows& batch, JobContext& context) const override;
  at::Tensor targetLogits(const PairRows& batch, JobContext& context) const override;
  Generation generate(const TokenRows& source, const GenerateOptions& options,
                      JobContext& context) const override;

  const EditMemory& memory() const { return *memory_; }
  Gate gate() const { return gate_; }

 private:
  struct Decision {
    ScopeDecision scope;
    std::vector<int64_t> plain;     // rows the base answers
    std::vector<int64_t> prompted;  // rows it answers behind a prompt
    at::Tensor prompts_RPD;         // of the prompted rows, in their order; undefined when there are none
  };
  Encoded encode(const TokenRows& source, JobContext& context) const;
  Decision decide(const Encoded& encoded, JobContext& context) const;

  /// Calls answer(rows, encoded rows, prompts) for each of the two kinds of rows that occurs; never both for
  /// a row.
  template <typename Answer>
  void eachKind(const Decision& decision, const Encoded& encoded, Answer&& answer) const;

  std::shared_ptr<const Model> base_;
  std::shared_ptr<const SeprogModules> modules_;
  std::shared_ptr<EditMemory> memory_;
  Gate gate_;
};

}  // namespace seprog
