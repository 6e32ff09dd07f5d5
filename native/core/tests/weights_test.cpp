#include "core/tensor/weights.h"

#include <ATen/ATen.h>

#include "failure.h"

namespace seprog {
namespace {

Weights base() { return Weights({{"a.weight", at::ones({2, 3})}, {"b.weight", at::zeros({4})}}); }

TEST(Weights, OverlaySharesWhatItDoesNotReplace) {
  const Weights below = base();
  const Weights overlay = below.with({{"b.weight", at::ones({4})}});
  EXPECT_TRUE(overlay.at("a.weight").is_same(below.at("a.weight")));
  EXPECT_EQ(overlay.at("b.weight").sum().item<float>(), 4);
  EXPECT_EQ(below.at("b.weight").sum().item<float>(), 0);
  EXPECT_EQ(overlay.with({{"b.weight", at::full({4}, 2.)}}).at("b.weight").sum().item<float>(), 8);
  EXPECT_EQ(overlay.names(), (std::vector<std::string>{"a.weight", "b.weight"}));
  EXPECT_EQ(overlay.parameterCount(), 10);
  EXPECT_EQ(overlay.flatten().at("b.weight").sum().item<float>(), 4);
}

TEST(Weights, RefusesUnknownNamesAndOtherShapes) {
  expectFailure(ErrorCode::WeightMissing, "`c.weight`", [] { base().at("c.weight"); });
  expectFailure(ErrorCode::WeightMissing, "`c.weight`", [] { base().with({{"c.weight", at::ones({1})}}); });
  expectFailure(ErrorCode::ShapeMismatch, "expected shape [4] for `b.weight` but received [5]", [] {
    base().with({{"b.weight", at::ones({5})}});
  });
}

TEST(Weights, ChecksumTellsBitsNamesAndShapes) {
  const uint64_t sum = base().checksum();
  EXPECT_EQ(base().checksum(), sum);
  EXPECT_EQ(base().with({{"b.weight", at::zeros({4})}}).checksum(), sum);
  EXPECT_NE(base().with({{"b.weight", at::full({4}, -0.0)}}).checksum(), sum);
  EXPECT_NE(Weights({{"a.weight", at::ones({3, 2})}, {"b.weight", at::zeros({4})}}).checksum(), sum);
  EXPECT_NE(Weights({{"a.weight", at::ones({2, 3})}, {"c.weight", at::zeros({4})}}).checksum(), sum);
}

TEST(Scope, JoinsNames) {
  const Weights weights = base();
  EXPECT_EQ((Scope(weights) / "a").path("weight"), "a.weight");
  EXPECT_TRUE((Scope(weights) / "a")["weight"].is_same(weights.at("a.weight")));
  EXPECT_EQ((Scope(weights) / "a").find("bias"), nullptr);
  expectFailure(ErrorCode::WeightMissing, "`a.bias`", [&] { (Scope(weights) / "a")["bias"]; });
}

}  // namespace
}  // namespace seprog
