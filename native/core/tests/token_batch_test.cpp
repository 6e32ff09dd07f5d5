#include "core/tensor/token_batch.h"

#include <ATen/ATen.h>

#include "core/models/model.h"
#include "failure.h"

namespace seprog {
namespace {

TEST(TokenBatch, PadsOnTheRight) {
  const TokenBatch batch = pad({{5, 6, 7, 8}, {3, 0, 1}}, 0, 10, at::kCPU);
  EXPECT_TRUE(at::equal(batch.ids_BS, at::tensor({5, 6, 7, 0, 0, 0, 8, 0, 0}, at::kLong).view({3, 3})));
  EXPECT_TRUE(at::equal(batch.mask_BS.sum(1), at::tensor({3, 0, 1}, at::kLong)));
  EXPECT_FALSE(batch.fullyReal);
  EXPECT_TRUE(pad({{1, 2}, {1, 1}}, 0, 10, at::kCPU).fullyReal);
}

TEST(TokenBatch, SelectKeepsTheColumns) {
  const TokenBatch some = pad({{5, 6, 7, 8}, {3, 1}}, 0, 10, at::kCPU).select(at::tensor({1, 1}, at::kLong));
  EXPECT_EQ(some.columns(), 3);
  EXPECT_EQ(some.lengths, (std::vector<int64_t>{1, 1}));
  EXPECT_TRUE(at::equal(some.ids_BS.select(1, 0), at::tensor({8, 8}, at::kLong)));
  EXPECT_FALSE(some.fullyReal);
}

TEST(TokenBatch, SlicesAndPicksRows) {
  const TokenRows rows{{1, 2, 3, 4, 5, 6}, {1, 2, 0, 3}};
  const TokenRows middle = slice(rows, 1, 2);
  EXPECT_EQ(middle.ids, (std::vector<int32_t>{2, 3}));
  EXPECT_EQ(middle.lengths, (std::vector<int32_t>{2, 0}));
  const TokenRows picked = pick(rows, {3, 0});
  EXPECT_EQ(picked.ids, (std::vector<int32_t>{4, 5, 6, 1}));
}

TEST(TokenBatch, RefusesBadRows) {
  expectFailure(ErrorCode::DataInvalid, "row 1 column 1 but received 10", [] {
    pad({{1, 2, 10}, {1, 2}}, 0, 10, at::kCPU);
  });
  expectFailure(ErrorCode::DataInvalid, "row 0 column 0 but received -1", [] {
    pad({{-1}, {1}}, 0, 10, at::kCPU);
  });
  expectFailure(ErrorCode::DataInvalid, "add up to 2 ids", [] { pad({{1, 2}, {1}}, 0, 10, at::kCPU); });
  expectFailure(ErrorCode::DataInvalid, "`tokens.lengths[1]`", [] { pad({{1}, {2, -1}}, 0, 10, at::kCPU); });
  expectFailure(ErrorCode::DataInvalid, "at least one row", [] { pad({}, 0, 10, at::kCPU); });
}

TEST(Targets, IndexRealPositionsRowAfterRow) {
  const Targets targets = makeTargets({{4, 1, 5, 6, 1}, {2, 0, 3}}, 0, 10, at::kCPU);
  EXPECT_TRUE(at::equal(targets.flatRows_N, at::tensor({0, 1, 6, 7, 8}, at::kLong)));
  EXPECT_TRUE(at::equal(targets.labels_N, at::tensor({4, 1, 5, 6, 1}, at::kLong)));
  EXPECT_TRUE(at::equal(targets.rowOf_N, at::tensor({0, 0, 2, 2, 2}, at::kLong)));
  const Targets some = targets.select(at::tensor({0}, at::kLong));
  EXPECT_EQ(some.tokens.columns(), 3);
  EXPECT_TRUE(at::equal(some.labels_N, at::tensor({4, 1}, at::kLong)));
}

TEST(Pool, MeanFirstLastOverRealPositions) {
  const TokenBatch tokens = pad({{1, 2, 3}, {2, 1, 0}}, 0, 10, at::kCPU);
  const at::Tensor h = at::arange(12, at::kFloat).view({3, 2, 2});
  EXPECT_TRUE(at::equal(pool(h, tokens, Pooling::Mean),
                        at::tensor({1., 2., 4., 5., 0., 0.}, at::kFloat).view({3, 2})));
  EXPECT_TRUE(at::equal(pool(h, tokens, Pooling::First).select(0, 1), at::tensor({4., 5.}, at::kFloat)));
  EXPECT_TRUE(at::equal(pool(h, tokens, Pooling::Last).narrow(0, 0, 2),
                        at::tensor({2., 3., 4., 5.}, at::kFloat).view({2, 2})));
}

}  // namespace
}  // namespace seprog
