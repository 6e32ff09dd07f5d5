// A base model and beside it a counterfactual model that answers, behind the retrieved edit, what is in the scope of one
// (serac.md section 3). B rows, K edits, D width of the classifier.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "../editor.h"
#include "serac_models.h"

namespace seprog {

/// The memory: edits as the two models read them. Adding one is appending its rows; nothing is computed with others.
struct StoredEdits {
  TokenRows editText;       // of the classifier
  TokenRows editPrefix;     // of the counterfactual model
  at::Tensor embedding_KD;  // of the embedding classifier, computed once; else undefined
  int64_t size() const { return editText.rows(); }
  /// These and further ones.
  StoredEdits with(const StoredEdits& more) const;
};

/// The edits of a request. Throws DATA_INVALID without one prefix an edit.
StoredEdits storedEdits(const EditRequests& requests, const SeracModels& models, const SeracSpec& spec,
                        JobContext& context);

class RoutedScorer : public Scorer {
 public:
  using Scorer::generate;
  using Scorer::score;
  using Scorer::targetLogits;

  /// `madeBy` is the fingerprint of the editor whose weights `models` has.
  RoutedScorer(std::shared_ptr<const Model> base, std::shared_ptr<const SeracModels> models,
               const SeracSpec& spec, StoredEdits edits, std::string madeBy);

  const Model& base() const override { return *base_; }
  TokenScores score(const PairRows& batch, const RowNotes& notes, JobContext& context) const override;
  at::Tensor targetLogits(const PairRows& batch, const RowNotes& notes, JobContext& context) const override;
  Generation generate(const TokenRows& source, const RowNotes& notes, const GenerateOptions& options,
                      JobContext& context) const override;
  Replies answer(const PairRows& batch, const RowNotes& notes, const GenerateOptions& options,
                 JobContext& context) const override;

  const StoredEdits& edits() const { return edits_; }
  const std::string& madeBy() const { return madeBy_; }
  /// ln s of each row and each edit: [B, K].
  at::Tensor logSimilarities(const TokenRows& source, const RowViews& views, JobContext& context) const;

 private:
  /// Rows that one model answers, or both where their answers are mixed.
  struct Share {
    std::vector<int64_t> rows;
    TokenRows behindEdits;  // what the counterfactual model reads; no rows: the base answers
    at::Tensor logit_R;     // ln β − ln(1 − β) of mixed rows; else undefined
  };
  struct Decision {
    ScopeDecision scope;
    std::vector<Share> shares;  // every row is in one
  };
  Decision decide(const TokenRows& source, const RowViews& views, JobContext& context) const;
  Share routed(std::vector<int64_t> rows, const Decision& decision, const TokenRows& source,
               const RowViews& views) const;

  /// Calls answer(share, model, encoded rows, the base's encoding of mixed rows) for each share.
  using Answer = std::function<void(const Share&, const Model&, const Encoded&, const Encoded*)>;
  void eachShare(const Decision& decision, const TokenRows& source, const RowNotes& notes,
                 JobContext& context, const Answer& answer) const;

  void scoreShare(const Share& share, const Model& model, const Encoded& rows, const Encoded* plain,
                  const Targets& all, const TokenRows& target, TokenScores& scores) const;
  TokenRows generateShare(const Share& share, const Model& model, const Encoded& rows, const Encoded* plain,
                          const GenerateOptions& options, JobContext& context) const;

  std::shared_ptr<const Model> base_;
  std::shared_ptr<const SeracModels> models_;
  SeracSpec spec_;
  StoredEdits edits_;
  std::string madeBy_;
};

}  // namespace seprog
