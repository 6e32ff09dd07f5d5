#include "episodes.h"

#include <ATen/ops/tensor.h>

#include <map>
#include <string>

#include "../../error.h"

namespace seprog {
namespace {

/// Gives equal rows one number, so that an input that occurs twice is encoded once.
class DistinctRows {
 public:
  std::vector<int64_t> add(const TokenRows& rows) {
    std::vector<int64_t> numbers;
    size_t next = 0;
    for (const int32_t length : rows.lengths) {
      const auto part = [&](const std::vector<int32_t>& values) {
        return values.empty() ? std::vector<int32_t>(length)
                              : std::vector<int32_t>(values.begin() + next, values.begin() + next + length);
      };
      const std::vector<int32_t> ids = part(rows.ids);
      const std::vector<int32_t> types = part(rows.types);
      next += length;
      const auto [entry, isNew] = numberOf_.try_emplace({ids, types}, distinct_.rows());
      if (isNew) {
        distinct_.ids.insert(distinct_.ids.end(), ids.begin(), ids.end());
        distinct_.types.insert(distinct_.types.end(), types.begin(), types.end());
        distinct_.lengths.push_back(length);
      }
      numbers.push_back(entry->second);
    }
    return numbers;
  }
  const TokenRows& rows() const { return distinct_; }

 private:
  std::map<std::pair<std::vector<int32_t>, std::vector<int32_t>>, int64_t> numberOf_;
  TokenRows distinct_;
};

}  // namespace

Episodes prepareEpisodes(const EpisodeBatch& batch, const Model& base, const Architecture& editEncoder,
                         bool readsOutScope) {
  const int64_t rows = batch.editText.rows();
  std::vector<int64_t> ns{batch.episodes};
  ns.insert(ns.end(), batch.regroupings.begin(), batch.regroupings.end());
  for (const int64_t n : ns) {
    if (n < 1 || rows < n || rows % n != 0) {
      fail(ErrorCode::DataInvalid, "expected as many edits in each of the " + std::to_string(n) +
                                       " episodes for `editText` but received " + std::to_string(rows) +
                                       " rows");
    }
  }
  const auto demandRows = [&](const TokenRows& side, const char* name) {
    if (side.rows() != rows) {
      fail(ErrorCode::DataInvalid, "expected one row per edit (" + std::to_string(rows) + ") for `" + name +
                                       "` but received " + std::to_string(side.rows()));
    }
    int64_t total = 0;
    for (const int32_t length : side.lengths) total += length < 0 ? side.ids.size() + 1 : length;
    if (total != static_cast<int64_t>(side.ids.size())) {
      fail(ErrorCode::DataInvalid, "expected lengths of 0 or more that add up to " +
                                       std::to_string(side.ids.size()) + " ids for `" + name +
                                       ".lengths` but received a sum of " + std::to_string(total));
    }
  };
  demandRows(batch.inScope.source, "inScope.source");
  demandRows(batch.inScope.target, "inScope.target");
  if (readsOutScope) demandRows(batch.outScope.source, "outScope.source");
  if (batch.inScope.target.ids.empty()) {
    fail(ErrorCode::DataInvalid, "expected at least one target token for `inScope.target` but received none");
  }

  Episodes episodes;
  episodes.ns = std::move(ns);
  episodes.z = pad(batch.editText, editEncoder.padId(), editEncoder.vocabulary(), base.device);
  DistinctRows distinct;
  episodes.inScope_B = at::tensor(distinct.add(batch.inScope.source), at::kLong).to(base.device);
  if (readsOutScope) {
    episodes.outScope_B = at::tensor(distinct.add(batch.outScope.source), at::kLong).to(base.device);
  }
  episodes.x = pad(distinct.rows(), base.architecture->padId(), base.architecture->vocabulary(), base.device);
  episodes.target = batch.inScope.target;
  return episodes;
}

}  // namespace seprog
