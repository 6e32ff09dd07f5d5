#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/io/safetensors.h"
#include "core/memory/edit_memory.h"
#include "tiny.h"

namespace seprog {
namespace {

using tiny::codeOf;

at::Tensor embeddings(int64_t rows, float first) {
  return at::arange(rows * 3, at::kFloat).view({rows, 3}).add(first);
}

std::vector<int64_t> ids(const EditMemory& memory) {
  std::vector<int64_t> out;
  for (const MemoryRow& row : memory.rows()) out.push_back(row.id);
  return out;
}

TEST(EditMemory, AddsUpdatesAndRemovesRows) {
  EditMemory memory(3, "f");
  EXPECT_EQ(memory.embeddings_KH().sizes(), at::IntArrayRef({0, 3}));
  EXPECT_EQ(memory.add({"a", "b"}, embeddings(2, 0)), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(memory.add({"c"}, embeddings(1, 100)), (std::vector<int64_t>{3}));
  memory.update(2, "B", at::full({3}, 7.0f));
  EXPECT_EQ(memory.rows()[1].label, "B");
  EXPECT_TRUE(at::equal(memory.embeddings_KH()[1], at::full({3}, 7.0f)));
  memory.remove({1});
  EXPECT_EQ(ids(memory), (std::vector<int64_t>{2, 3}));
  EXPECT_TRUE(at::equal(memory.embeddings_KH()[1], embeddings(1, 100)[0]));
  memory.remove({2, 3});
  EXPECT_EQ(memory.size(), 0);
  EXPECT_EQ(memory.add({"d"}, embeddings(1, 5)), (std::vector<int64_t>{4}));  // never an id twice
}

TEST(EditMemory, KeepsNothingOfTheGraphNorOfTheCaller) {
  EditMemory memory(3, "f");
  at::Tensor h = embeddings(1, 0).set_requires_grad(true);
  memory.add({"a"}, h);
  EXPECT_FALSE(memory.embeddings_KH().requires_grad());
  h.detach().fill_(9);
  EXPECT_TRUE(at::equal(memory.embeddings_KH(), embeddings(1, 0)));
}

TEST(EditMemory, RefusalsChangeNothing) {
  EditMemory memory(3, "f");
  memory.add({"a", "b"}, embeddings(2, 0));
  const at::Tensor before = memory.embeddings_KH().clone();
  EXPECT_EQ(codeOf([&] { memory.remove({1, 99}); }), ErrorCode::DataInvalid);
  EXPECT_EQ(codeOf([&] { memory.update(99, "x", at::zeros({3})); }), ErrorCode::DataInvalid);
  EXPECT_EQ(codeOf([&] { memory.update(1, "x", at::zeros({4})); }), ErrorCode::ShapeMismatch);
  EXPECT_EQ(codeOf([&] { memory.add({"c"}, at::zeros({1, 4})); }), ErrorCode::ShapeMismatch);
  EXPECT_EQ(codeOf([&] { memory.add({"c", "d"}, at::zeros({1, 3})); }), ErrorCode::ShapeMismatch);
  EXPECT_EQ(codeOf([&] {
              memory.add({"c"}, at::full({1, 3}, std::numeric_limits<float>::quiet_NaN()));
            }),
            ErrorCode::NonFinite);
  EXPECT_EQ(codeOf([&] { memory.rollback(1); }), ErrorCode::DataInvalid);
  EXPECT_EQ(ids(memory), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(memory.rows()[0].label, "a");
  EXPECT_TRUE(at::equal(memory.embeddings_KH(), before));
}

TEST(EditMemory, RollsBackToASnapshotAndKeepsIdsAhead) {
  EditMemory memory(3, "f");
  memory.add({"a", "b"}, embeddings(2, 0));
  const int64_t full = memory.snapshot();
  memory.remove({1});
  memory.update(2, "B", at::zeros({3}));
  const int64_t later = memory.snapshot();
  memory.rollback(full);
  EXPECT_EQ(ids(memory), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(memory.rows()[1].label, "b");
  EXPECT_TRUE(at::equal(memory.embeddings_KH(), embeddings(2, 0)));
  EXPECT_EQ(memory.add({"c"}, embeddings(1, 50)), (std::vector<int64_t>{3}));
  memory.rollback(later);
  EXPECT_EQ(ids(memory), (std::vector<int64_t>{2}));
  EXPECT_TRUE(at::equal(memory.embeddings_KH(), at::zeros({1, 3})));
  EXPECT_EQ(memory.add({"d"}, embeddings(1, 60)), (std::vector<int64_t>{4}));
}

TEST(EditMemory, SavesAndLoads) {
  const tiny::Folder folder;
  EditMemory memory(3, "0123");
  memory.add({"a \"quoted\" >> ü", "b", "c"}, embeddings(3, 0));
  memory.remove({2, 3});
  memory.save(folder / "memory.safetensors");
  EditMemory loaded = EditMemory::load(folder / "memory.safetensors", 3, "0123");
  EXPECT_EQ(ids(loaded), (std::vector<int64_t>{1}));
  EXPECT_EQ(loaded.rows()[0].label, "a \"quoted\" >> ü");
  EXPECT_TRUE(at::equal(loaded.embeddings_KH(), memory.embeddings_KH()));
  EXPECT_EQ(loaded.add({"d"}, embeddings(1, 0)), (std::vector<int64_t>{4}));
}

TEST(EditMemory, SavesAndLoadsWithoutRows) {
  const tiny::Folder folder;
  EditMemory(3, "0123").save(folder / "memory.safetensors");
  EXPECT_EQ(EditMemory::load(folder / "memory.safetensors", 3, "0123").size(), 0);
}

TEST(EditMemory, RefusesFilesOfOthers) {
  const tiny::Folder folder;
  EditMemory memory(3, "0123");
  memory.add({"a"}, embeddings(1, 0));
  memory.save(folder / "memory.safetensors");
  const auto load = [&](const std::string& name, int64_t width, const std::string& fingerprint) {
    return codeOf([&] { EditMemory::load(folder / name, width, fingerprint); });
  };
  EXPECT_EQ(load("memory.safetensors", 3, "4567"), ErrorCode::CheckpointInvalid);
  EXPECT_EQ(load("memory.safetensors", 4, "0123"), ErrorCode::CheckpointInvalid);
  EXPECT_EQ(load("missing.safetensors", 3, "0123"), ErrorCode::CheckpointInvalid);
  const auto forged = [&](const std::string& rows, const std::string& nextId) {
    writeSafetensors(folder / "forged.safetensors", {{"h", embeddings(1, 0)}},
                     {{"fingerprint", "0123"}, {"rows", rows}, {"nextId", nextId}});
    return load("forged.safetensors", 3, "0123");
  };
  EXPECT_EQ(forged("{", "2"), ErrorCode::CheckpointInvalid);
  EXPECT_EQ(forged("[]", "2"), ErrorCode::CheckpointInvalid);
  EXPECT_EQ(forged(R"([{"id": 5, "label": "a"}])", "2"), ErrorCode::CheckpointInvalid);
  EXPECT_EQ(forged(R"([{"id": 1}])", "2"), ErrorCode::CheckpointInvalid);
  EXPECT_EQ(forged(R"([{"id": 1, "label": "a"}])", "x"), ErrorCode::CheckpointInvalid);
}

}  // namespace
}  // namespace seprog
