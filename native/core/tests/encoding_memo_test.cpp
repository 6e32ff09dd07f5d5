// Encoder outputs kept between calls: what is computed, what is kept, and that nobody sees a difference.
#include "core/models/encoding_memo.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "core/editors/editor.h"
#include "core/models/model.h"
#include "tiny.h"

namespace seprog {
namespace {

constexpr int64_t kPlenty = 1 << 20;

TokenRows rowsOf(const std::vector<std::vector<int32_t>>& rows) {
  TokenRows packed;
  for (const auto& row : rows) {
    packed.ids.insert(packed.ids.end(), row.begin(), row.end());
    packed.lengths.push_back(static_cast<int32_t>(row.size()));
  }
  return packed;
}

Encoded encodedBy(const Model& model, const TokenRows& rows) {
  const Architecture& family = *model.architecture;
  return family.encode(model.weights, pad(rows, family.padId(), family.vocabulary(), model.device));
}

TEST(EncodingMemo, GivesTheStatesOfAnEncoding) {
  const auto model = tiny::model();
  EncodingMemo memo;
  const TokenRows rows = rowsOf({{5, 6, 7}, {8, 9}, {5, 6, 7}});
  const Encoded cold = memo.encode(*model, rows, kPlenty);
  EXPECT_TRUE(at::equal(cold.h_BSD, encodedBy(*model, rows).h_BSD));
  EXPECT_EQ(memo.keptRows(), 2);
  const Encoded warm = memo.encode(*model, rows, kPlenty);
  EXPECT_TRUE(at::equal(warm.h_BSD, cold.h_BSD));
  EXPECT_EQ(warm.source.lengths, cold.source.lengths);
}

TEST(EncodingMemo, PutsKnownRowsBesideNewOnes) {
  const auto model = tiny::model();
  EncodingMemo memo;
  memo.encode(*model, rowsOf({{8, 9}, {3}}), kPlenty);
  const TokenRows mixed = rowsOf({{5, 6, 7, 8, 9}, {8, 9}, {4, 4}, {3}});
  const Encoded encoded = memo.encode(*model, mixed, kPlenty);
  EXPECT_TRUE(at::allclose(encoded.h_BSD, encodedBy(*model, mixed).h_BSD, 1e-5, 1e-6));
  EXPECT_EQ(memo.keptRows(), 4);
}

TEST(EncodingMemo, KeepsTheLastUsedWithinItsBytes) {
  const auto model = tiny::model();
  EncodingMemo memo;
  memo.encode(*model, rowsOf({{2, 3}}), kPlenty);
  const int64_t row = memo.keptBytes();
  memo.encode(*model, rowsOf({{3, 4}}), kPlenty);
  memo.encode(*model, rowsOf({{2, 3}}), kPlenty);
  memo.encode(*model, rowsOf({{4, 5}}), 2 * row);
  EXPECT_EQ(memo.keptRows(), 2);
  EXPECT_EQ(memo.keptBytes(), 2 * row);
  memo.encode(*model, rowsOf({{2, 3}}), 2 * row);  // used last but one: still there
  EXPECT_EQ(memo.keptRows(), 2);
  memo.encode(*model, rowsOf({{5, 6}, {6, 7}, {7, 8}}), 1);
  EXPECT_EQ(memo.keptRows(), 0);
  EXPECT_EQ(memo.keptBytes(), 0);
}

TEST(EncodingMemo, IsUsedByTheBaseAloneAndOnlyWhereAskedFor) {
  Model loaded = *tiny::model();
  loaded.encodings = std::make_shared<EncodingMemo>();
  const auto model = std::make_shared<const Model>(std::move(loaded));
  const PairRows pairs{rowsOf({{5, 6, 7}, {8, 9}}), rowsOf({{4, 1}, {9, 1}})};
  JobContext quiet;
  const auto base = baseScorer(model);
  const TokenScores plain = base->score(pairs, quiet);
  EXPECT_EQ(model->encodings->keptRows(), 0);
  RowNotes notes;
  notes.encodingBytes = kPlenty;
  EXPECT_EQ(base->score(pairs, notes, quiet).logProb, plain.logProb);
  EXPECT_EQ(model->encodings->keptRows(), 2);
  EXPECT_EQ(base->score(pairs, notes, quiet).argmax, plain.argmax);
}

}  // namespace
}  // namespace seprog
