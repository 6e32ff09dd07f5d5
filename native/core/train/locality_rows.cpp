#include "locality_rows.h"

namespace seprog {

PairRows localityRows(const Architecture& family, const PairRows& rows) {
  if (family.answerKind() != AnswerKind::Continuation) return rows;
  PairRows whole;
  auto source = rows.source.ids.begin();
  auto target = rows.target.ids.begin();
  for (int64_t b = 0; b < rows.rows(); ++b) {
    std::vector<int32_t> ids(source, source + rows.source.lengths[b]);
    source += rows.source.lengths[b];
    ids.insert(ids.end(), target, target + rows.target.lengths[b]);
    target += rows.target.lengths[b];
    // The first token has no prediction of its own. The last one is followed by nothing: which id stands there
    // does not matter to a divergence.
    const int32_t sourceLength = ids.empty() ? 0 : 1;
    whole.source.lengths.push_back(sourceLength);
    whole.target.lengths.push_back(static_cast<int32_t>(ids.size()));
    if (ids.empty()) continue;
    whole.source.ids.push_back(ids.front());
    whole.target.ids.insert(whole.target.ids.end(), ids.begin() + 1, ids.end());
    whole.target.ids.push_back(ids.front());
  }
  return whole;
}

}  // namespace seprog
