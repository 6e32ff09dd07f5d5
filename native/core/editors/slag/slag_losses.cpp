// n episodes of K edits.
#include "slag_losses.h"

#include <algorithm>
#include <string>
#include <vector>

#include "../../error.h"
#include "../../train/losses.h"
#include "run.h"

namespace seprog {
namespace {

PairRows pickPairs(const PairRows& rows, const std::vector<int64_t>& indices) {
  return {pick(rows.source, indices), pick(rows.target, indices)};
}

void demandRows(const EpisodeBatch& batch) {
  const int64_t rows = batch.edits.rows();
  if (batch.episodes < 1 || rows < batch.episodes || rows % batch.episodes != 0) {
    fail(ErrorCode::DataInvalid, "expected as many edits in each of the " + std::to_string(batch.episodes) +
                                     " episodes for `edits` but received " + std::to_string(rows) + " rows");
  }
  const auto demand = [&](const TokenRows& side, const char* name) {
    if (side.rows() == rows) return;
    fail(ErrorCode::DataInvalid, "expected one row per edit (" + std::to_string(rows) + ") for `" + name +
                                     "` but received " + std::to_string(side.rows()));
  };
  demand(batch.edits.target, "edits.target");
  demand(batch.editText, "editText");
  demand(batch.inScope.source, "inScope.source");
  demand(batch.inScope.target, "inScope.target");
  demand(batch.outScope.source, "outScope.source");
  demand(batch.outScope.target, "outScope.target");
}

}  // namespace

std::vector<int64_t> otherRowsOf(int64_t index, int64_t editsPerEpisode, int64_t otherRows) {
  const int64_t first = index / editsPerEpisode * editsPerEpisode;
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < std::min(otherRows, editsPerEpisode); ++i) {
    rows.push_back(first + (index - first + i) % editsPerEpisode);
  }
  return rows;
}

SlagLosses slagLosses(const Model& base, const Hypernetwork& network, const EpisodeBatch& batch,
                      bool withGradients, JobContext& context) {
  demandRows(batch);
  const SlagSpec& spec = network.spec();
  const int64_t edits = batch.edits.rows();
  const int64_t K = edits / batch.episodes;
  const double perEdit = 1.0 / static_cast<double>(edits);
  SlagLosses losses;
  RunLosses sums;
  for (int64_t first = 0; first < edits;) {
    const int64_t leftOfEpisode = K - first % K;
    std::vector<RunEdit> run;
    for (const int64_t end = first + std::min(leftOfEpisode, spec.sequentialTrain); first < end; ++first) {
      run.push_back({slice(batch.editText, first, 1),
                     {pickPairs(batch.edits, {first}), pickPairs(batch.inScope, {first}),
                      pickPairs(batch.outScope, otherRowsOf(first, K, spec.otherRows))}});
    }
    TensorTable accumulated;
    const RunLosses of = passRun(base, network, run, perEdit, accumulated,
                                 withGradients ? &losses.gradients : nullptr, context);
    sums.terms.main += of.terms.main;
    sums.terms.paraphrase += of.terms.paraphrase;
    sums.terms.kl += of.terms.kl;
    sums.terms.total += of.terms.total;
    sums.steps += of.steps;
    sums.rightEdits += of.rightEdits;
  }
  losses.figures = {{"loss", demandFinite(sums.terms.total * perEdit, "loss")},
                    {"editLoss", sums.terms.main * perEdit},
                    {"paraphraseLoss", sums.terms.paraphrase * perEdit},
                    {"klLoss", sums.terms.kl * perEdit},
                    {"innerSteps", static_cast<double>(sums.steps) * perEdit},
                    {"rowAccuracy", static_cast<double>(sums.rightEdits) * perEdit}};
  return losses;
}

}  // namespace seprog
