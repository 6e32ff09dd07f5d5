#include "core/engine/determinism.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>

#include "core/engine/failure.h"

namespace seprog {
namespace {

/// The mode is for good: what it set in this process is taken back for the tests behind.
class Determinism : public testing::Test {
 protected:
  void TearDown() override {
    at::Context& context = at::globalContext();
    context.setDeterministicAlgorithms(false, false);
    context.setDeterministicMkldnn(false);
    unsetenv("MKL_CBWR");
  }
};

/// Writes two values to one place: which of them stays hangs on the order.
std::optional<Failure> writeTwice() {
  try {
    at::zeros({4}).put_(at::zeros({2}, at::kLong), at::arange(2, at::kFloat));
    return std::nullopt;
  } catch (...) {
    return currentFailure();
  }
}

TEST_F(Determinism, RefusesWhatHangsOnTheOrderOfThreads) {
  EXPECT_FALSE(writeTwice().has_value());
  beDeterministic(c10::Device(c10::DeviceType::CPU));
  const auto refused = writeTwice();
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->code, ErrorCode::Unsupported);
  EXPECT_NE(refused->message.find("put_"), std::string::npos) << refused->message;
}

TEST_F(Determinism, FixesHowTheLibrariesBelowSplitTheirWork) {
  unsetenv("MKL_CBWR");
  beDeterministic(c10::Device(c10::DeviceType::CPU));
  EXPECT_STREQ(std::getenv("MKL_CBWR"), "AUTO");
  EXPECT_TRUE(at::globalContext().deterministicMkldnn());
}

TEST_F(Determinism, LeavesAUsersOwnChoice) {
  setenv("MKL_CBWR", "COMPATIBLE", 1);
  beDeterministic(c10::Device(c10::DeviceType::CPU));
  EXPECT_STREQ(std::getenv("MKL_CBWR"), "COMPATIBLE");
}

}  // namespace
}  // namespace seprog
