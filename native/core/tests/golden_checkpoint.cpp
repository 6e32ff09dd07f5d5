// Kind `checkpoint`: PyTorch files that must load to the expected tensors, and files that must be refused with
// nothing run.
#include <ATen/ATen.h>

#include <filesystem>

#include "../io/safetensors.h"
#include "../io/torch_file.h"
#include "failure.h"
#include "golden.h"

namespace seprog {
namespace {

void expectTensors(const std::string& path, const TensorTable& expected) {
  SCOPED_TRACE(path);
  const TensorTable got = readTorchFile(path);
  EXPECT_EQ(got.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    const auto found = got.find(name);
    ASSERT_NE(found, got.end()) << name;
    EXPECT_EQ(found->second.scalar_type(), tensor.scalar_type()) << name;
    EXPECT_EQ(found->second.sizes(), tensor.sizes()) << name;
    EXPECT_TRUE(at::equal(found->second, tensor)) << name;
  }
}

}  // namespace

void checkCheckpoint(Golden& golden) {
  const std::string folder = golden.folder() + "/";
  // What the hostile files would create, did anything run.
  const std::filesystem::path witnesses[] = {std::filesystem::temp_directory_path() / "seprog_pwned",
                                             "/tmp/seprog_pwned"};
  for (const auto& witness : witnesses) std::filesystem::remove(witness);

  const TensorTable expected = readSafetensors(folder + "expected.safetensors").tensors;
  for (const Json& name : golden.member("load").array()) expectTensors(folder + name.string(), expected);
  for (const auto& [name, key] : golden.member("nested").object()) expectTensors(folder + name, expected);
  for (const Json& name : golden.member("refuse").array()) {
    expectFailure(ErrorCode::CheckpointInvalid, name.string(),
                  [&] { readTorchFile(folder + name.string()); });
  }
  for (const auto& witness : witnesses) EXPECT_FALSE(std::filesystem::exists(witness)) << witness;
}

}  // namespace seprog
