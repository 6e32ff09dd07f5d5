// A model as a scorer, edited or not, and what every scorer does with its target states.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "editor.h"

namespace seprog {

/// The token batch of a source side, checked against the model's vocabulary.
TokenBatch sourceOf(const TokenRows& source, const Model& model);
/// Encoder output of a source side; of kept rows without computing, where the model keeps any.
Encoded encodeRows(const Model& model, const TokenRows& source, int64_t encodingBytes);
/// Targets of a batch. Throws DATA_INVALID when sources and targets are not of one number.
Targets targetsOf(const PairRows& batch, const Model& model);

/// Sizes the tables of `scores` for a batch.
void prepareScores(const PairRows& batch, TokenScores& scores);
/// Scores the tokens of `targets`, token n standing at place places_N[n] of the batch.
void scoreStates(const Model& model, const at::Tensor& states_ND, const Targets& targets,
                 const std::vector<int64_t>& places_N, TokenScores& scores);
/// Fills rowLoss from logProb.
void sumRows(const PairRows& batch, TokenScores& scores);

/// Answers by the weights of one model. An edited one stands over the original it is compared with.
class ModelScorer : public Scorer {
 public:
  /// `madeBy` names the editor, empty for the original itself.
  ModelScorer(std::shared_ptr<const Model> original, Weights weights, std::string madeBy = {},
              Figures editFigures = {});

  const Model& base() const override { return *original_; }
  const Weights& weights() const { return model_.weights; }
  const std::string& madeBy() const { return madeBy_; }
  TokenScores score(const PairRows& batch, const RowNotes& notes, JobContext& context) const override;
  at::Tensor targetLogits(const PairRows& batch, const RowNotes& notes, JobContext& context) const override;
  Generation generate(const TokenRows& source, const RowNotes& notes, const GenerateOptions& options,
                      JobContext& context) const override;
  Replies answer(const PairRows& batch, const RowNotes& notes, const GenerateOptions& options,
                 JobContext& context) const override;
  Figures editFigures() const override { return editFigures_; }

 private:
  Encoded encode(const TokenRows& source, const RowNotes& notes, JobContext& context) const;
  TokenScores scoreEncoded(const PairRows& batch, const Targets& targets, const Encoded& encoded,
                           JobContext& context) const;
  Generation generateEncoded(const Encoded& encoded, const GenerateOptions& options,
                             JobContext& context) const;

  std::shared_ptr<const Model> original_;
  Model model_;
  std::string madeBy_;
  Figures editFigures_;
};

bool isBaseScorer(const Scorer& scorer);

/// Throws UNSUPPORTED when `onto` stands over another base model than `base`.
void demandBase(const Scorer& onto, const Model& base);

}  // namespace seprog
