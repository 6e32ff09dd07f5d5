#include "core/io/safetensors.h"

#include <ATen/ATen.h>
#include <sys/resource.h>

#include <csignal>
#include <cstring>
#include <fstream>

#include "core/io/atomic_file.h"
#include "failure.h"
#include "tiny.h"

namespace seprog {
namespace {

/// A file with this header text and so many zero bytes of data.
std::string fileWith(const std::string& header, size_t dataBytes) {
  std::string bytes(8, '\0');
  const uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + std::string(dataBytes, '\0');
}

void put(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST(Safetensors, RoundTripOfEveryType) {
  const tiny::Folder folder;
  TensorTable table;
  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt,
                                    at::kShort, at::kChar, at::kByte, at::kBool}) {
    table[std::string("t.") + c10::toString(type)] = at::arange(7).remainder(2).to(type);
  }
  table["scalar"] = at::full({}, 2.5);
  table["empty"] = at::empty({0, 3});
  table["strided"] = at::arange(6, at::kFloat).view({2, 3}).t();
  writeSafetensors(folder / "a.safetensors", table, {{"format", "pt"}, {"note", "x \"y\""}});
  const SafetensorsFile file = readSafetensors(folder / "a.safetensors");
  ASSERT_EQ(file.tensors.size(), table.size());
  for (const auto& [name, tensor] : table) {
    EXPECT_EQ(file.tensors.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(at::equal(file.tensors.at(name), tensor)) << name;
  }
  EXPECT_EQ(file.metadata.at("note"), "x \"y\"");
}

TEST(Safetensors, ReadsDataAtAnyOffset) {
  const tiny::Folder folder;
  std::string bytes = fileWith(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8);
  const float values[2] = {1.5f, -2.0f};
  std::memcpy(bytes.data() + bytes.size() - 8, values, 8);
  put(folder / "odd.safetensors", bytes);
  const at::Tensor x = readSafetensors(folder / "odd.safetensors").tensors.at("x");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(x.const_data_ptr()) % 4, 0u);
  EXPECT_TRUE(at::equal(x, at::tensor({1.5, -2.0}, at::kFloat)));
}

TEST(Safetensors, ChangingALoadedTensorLeavesTheFile) {
  const tiny::Folder folder;
  writeSafetensors(folder / "a.safetensors", {{"x", at::ones({3})}});
  readSafetensors(folder / "a.safetensors").tensors.at("x").zero_();
  EXPECT_EQ(readSafetensors(folder / "a.safetensors").tensors.at("x").sum().item<float>(), 3);
}

TEST(Safetensors, RefusesBadFiles) {
  const tiny::Folder folder;
  const std::string path = folder / "bad.safetensors";
  const auto entry = [](const std::string& more) { return R"({"x":{"dtype":"F32",)" + more + "}}"; };
  struct Row {
    const char* part;
    std::string bytes;
  };
  const Row rows[] = {
      {"truncated", ""},
      {"truncated", "abc"},
      {"is this a safetensors file?", std::string(16, '\xff')},
      {"truncated", fileWith("{}", 0).substr(0, 9)},
      {"in the header of", fileWith("{\"x\":", 0)},
      {"a JSON object", fileWith("[1]", 0)},
      {"`dtype`, `shape` and two `data_offsets`", fileWith(R"({"x":{"dtype":"F32"}})", 0)},
      {"`dtype`, `shape` and two `data_offsets`", fileWith(entry(R"("shape":[1],"data_offsets":[0])"), 4)},
      {"expected dtype", fileWith(R"({"x":{"dtype":"F8","shape":[1],"data_offsets":[0,1]}})", 1)},
      {"whole numbers", fileWith(entry(R"("shape":[-1],"data_offsets":[0,4])"), 4)},
      {"whole numbers", fileWith(entry(R"("shape":[1.5],"data_offsets":[0,6])"), 6)},
      {"a size that fits", fileWith(entry(R"("shape":[4294967296,4294967296],"data_offsets":[0,0])"), 0)},
      {"expected 8 bytes", fileWith(entry(R"("shape":[2],"data_offsets":[0,4])"), 4)},
      {"expected 4 bytes", fileWith(entry(R"("shape":[1],"data_offsets":[4,0])"), 4)},
      {"truncated", fileWith(entry(R"("shape":[2],"data_offsets":[0,8])"), 7)},
      {"hole", fileWith(entry(R"("shape":[1],"data_offsets":[4,8])"), 8)},
      {"4 bytes of data", fileWith(entry(R"("shape":[1],"data_offsets":[0,4])"), 8)},
      {"overlap", fileWith(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                           R"("y":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                           8)},
      {"not given before", fileWith(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                                    R"("x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                                    8)},
      {"a string", fileWith(R"({"__metadata__":{"a":1}})", 0)},
  };
  for (const Row& row : rows) {
    put(path, row.bytes);
    expectFailure(ErrorCode::CheckpointInvalid, row.part, [&] { readSafetensors(path); });
    expectFailure(ErrorCode::CheckpointInvalid, path, [&] { readSafetensors(path); });
  }
  expectFailure(ErrorCode::CheckpointInvalid, "No such file", [&] { readSafetensors(folder / "none"); });
  expectFailure(ErrorCode::CheckpointInvalid, "regular file", [&] { readSafetensors(folder.path()); });
}

TEST(AtomicFile, AFailedWriteLeavesTheOldFileAndNoTemporary) {
  const tiny::Folder folder;
  const std::string path = folder / "a.safetensors";
  writeSafetensors(path, {{"x", at::ones({3})}});
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small { 4096, before.rlim_max };  // the system answers as on a full disk
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  expectFailure(ErrorCode::CheckpointInvalid, "expected to write `" + path, [&] {
    writeSafetensors(path, {{"x", at::ones({100000})}});
  });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(readSafetensors(path).tensors.at("x").numel(), 3);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(AtomicFile, WritesWholeOrNothing) {
  const tiny::Folder folder;
  writeFileAtomic(folder / "a", "one");
  writeFileAtomic(folder / "a", "two");
  EXPECT_EQ(readFile(folder / "a"), "two");
  {
    AtomicFile unfinished(folder / "a");
    unfinished.write("three");
  }
  EXPECT_EQ(readFile(folder / "a"), "two");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
  expectFailure(ErrorCode::CheckpointInvalid, "No such file", [&] { writeFileAtomic(folder / "no/a", "x"); });
  expectFailure(ErrorCode::CheckpointInvalid, "No such file", [&] { readFile(folder / "none"); });
}

}  // namespace
}  // namespace seprog
