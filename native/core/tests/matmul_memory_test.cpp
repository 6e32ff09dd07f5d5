#include "core/tensor/matmul_memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace seprog {
namespace {

class MatmulMemory : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* before = std::getenv("XDG_CACHE_HOME");
    before_ = before == nullptr ? "" : before;
    folder_ = ::testing::TempDir() + "seprog-matmul-" + std::to_string(::getpid());
    setenv("XDG_CACHE_HOME", folder_.c_str(), 1);
  }
  void TearDown() override {
    if (before_.empty()) {
      unsetenv("XDG_CACHE_HOME");
    } else {
      setenv("XDG_CACHE_HOME", before_.c_str(), 1);
    }
    std::filesystem::remove_all(folder_);
  }

  static MatmulBackend chosen() {
    MatmulBackend backend;
    backend.name = "onednn";
    backend.reason = "clearly faster here";
    backend.byProbe = true;
    backend.defaultGflops = 50.25;
    backend.onednnGflops = 140.5;
    backend.defaultError = 1.5e-5;
    backend.onednnError = 2.5e-5;
    return backend;
  }

  std::string folder_;
  std::string before_;
};

TEST_F(MatmulMemory, GivesBackWhatWasKept) {
  const std::string file = matmulFile(2);
  EXPECT_TRUE(file.starts_with(folder_ + "/seprog-native/matmul/"));
  EXPECT_NE(file, matmulFile(1));
  EXPECT_FALSE(recallMatmul(file).has_value());
  rememberMatmul(file, chosen());
  const auto known = recallMatmul(file);
  ASSERT_TRUE(known.has_value());
  EXPECT_EQ(known->name, "onednn");
  EXPECT_EQ(known->reason, "clearly faster here");
  EXPECT_TRUE(known->byProbe);
  EXPECT_EQ(known->defaultGflops, 50.25);
  EXPECT_EQ(known->onednnGflops, 140.5);
  EXPECT_EQ(known->defaultError, 1.5e-5);
  EXPECT_EQ(known->onednnError, 2.5e-5);
}

TEST_F(MatmulMemory, ForgetsAfterAWeek) {
  const std::string file = matmulFile(1);
  rememberMatmul(file, chosen());
  std::filesystem::last_write_time(
      file, std::filesystem::file_time_type::clock::now() - std::chrono::hours{8 * 24});
  EXPECT_FALSE(recallMatmul(file).has_value());
}

TEST_F(MatmulMemory, TakesADamagedFileForNone) {
  const std::string file = matmulFile(1);
  rememberMatmul(file, chosen());
  for (const char* text : {"", "{", "[]", R"({"name": "onednn"})", R"({"name": 1})"}) {
    std::ofstream(file) << text;
    EXPECT_FALSE(recallMatmul(file).has_value()) << text;
  }
}

TEST_F(MatmulMemory, IsNoErrorWhereNothingCanBeWritten) {
  rememberMatmul("/proc/nowhere/matmul.json", chosen());
  rememberMatmul("", chosen());
  EXPECT_FALSE(recallMatmul("").has_value());
}

}  // namespace
}  // namespace seprog
