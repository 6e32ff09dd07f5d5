// GPUs that are too old or too new for a libtorch, by capabilities made up.
#include "core/engine/gpu_support.h"

#include <gtest/gtest.h>

namespace seprog {
namespace {

// As the wheel of 2.10 describes itself.
const std::string kWheel =
    "PyTorch built with:\n  - CUDA Runtime 12.8\n  - NVCC architecture flags: "
    "-gencode;arch=compute_70,code=sm_70;-gencode;arch=compute_75,code=sm_75;-gencode;arch=compute_80,code="
    "sm_80;"
    "-gencode;arch=compute_86,code=sm_86;-gencode;arch=compute_90,code=sm_90;-gencode;arch=compute_100,code="
    "sm_100;"
    "-gencode;arch=compute_120,code=sm_120\n  - CuDNN 91.0.2\n";

std::string why(ComputeCapability capability, const std::vector<GpuTarget>& targets = gpuTargets(kWheel)) {
  return whyUnserved("cuda:0", "A GPU", capability, targets, "2.10.0");
}

TEST(GpuSupport, ReadsWhatALibtorchWasBuiltFor) {
  const auto targets = gpuTargets(kWheel);
  ASSERT_EQ(targets.size(), 7u);
  EXPECT_EQ(targets.front().capability, 70);
  EXPECT_EQ(targets.back().capability, 120);
  EXPECT_FALSE(targets.back().forLater);
  const auto own = gpuTargets("code=sm_90a;-gencode;arch=compute_90,code=compute_90 code=sm_100f");
  ASSERT_EQ(own.size(), 1u) << "code of one chip alone serves no other";
  EXPECT_TRUE(own[0].forLater);
  EXPECT_TRUE(gpuTargets("PyTorch built with:\n  - GCC 13.3\n").empty());
}

TEST(GpuSupport, ServesEveryGpuOfAMajorNumberFromItsOldestOn) {
  for (const ComputeCapability served : {70, 72, 75, 80, 86, 87, 89, 90, 100, 103, 120, 121}) {
    EXPECT_EQ(why(served), "") << served;
  }
}

TEST(GpuSupport, SaysOfAGpuThatItIsTooOld) {
  const std::string sentence = why(61);
  EXPECT_NE(
      sentence.find("compute capability 7.0 to 12.0 for `engine.device` but received \"cuda:0\" (A GPU, "
                    "6.1)"),
      std::string::npos)
      << sentence;
  EXPECT_NE(sentence.find("so old a GPU"), std::string::npos) << sentence;
  EXPECT_EQ(why(70, gpuTargets("code=sm_75 code=sm_80")).find("no kernel image"), std::string::npos);
}

TEST(GpuSupport, SaysOfAGpuThatItIsTooNew) {
  EXPECT_NE(why(130).find("so new a GPU"), std::string::npos) << why(130);
  EXPECT_NE(why(110).find("so new a GPU"), std::string::npos) << "between two that are served";
}

TEST(GpuSupport, TheDriverTranslatesForLaterGpus) {
  const auto targets = gpuTargets("code=sm_80 code=compute_90");
  EXPECT_EQ(why(120, targets), "");
  EXPECT_NE(why(75, targets), "");
}

TEST(GpuSupport, WhereNothingIsSaidNothingIsRefused) { EXPECT_EQ(why(61, {}), ""); }

}  // namespace
}  // namespace seprog
