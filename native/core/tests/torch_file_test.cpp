#include "core/io/torch_file.h"

#include <ATen/ATen.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

#include "core/io/atomic_file.h"
#include "failure.h"
#include "tiny.h"
#include "torch_bytes.h"

namespace seprog {
namespace {

using namespace torch_bytes;  // NOLINT(google-build-using-namespace): the vocabulary of this file

std::string floats(const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

/// Six floats under key "0".
const std::string& six() {
  static const std::string bytes = floats({0, 1, 2, 3, 4, 5});
  return bytes;
}
std::string sixStorage() { return storage("FloatStorage", "0", 6); }
std::string sixTensor() { return tensor(sixStorage(), 0, {2, 3}, {3, 1}); }

TensorTable readBytes(const std::string& bytes) {
  const tiny::Folder folder;
  std::ofstream(folder / "pytorch_model.bin", std::ios::binary) << bytes;
  return readTorchFile(folder / "pytorch_model.bin");
}

/// The state dict in both containers; `check` gets what was read.
void inBothFormats(const std::string& body, const std::function<void(const std::string& bytes)>& check) {
  const std::string state = pickle(body);
  for (const std::string& bytes : {zipFile(state, {{"0", six()}}), legacyFile(state, {{"0", six()}}, 4)}) {
    SCOPED_TRACE(bytes.substr(0, 2) == "PK" ? "zip" : "legacy");
    check(bytes);
  }
}

void refused(const std::string& body, const std::string& part) {
  SCOPED_TRACE(part);
  inBothFormats(body, [&](const std::string& bytes) {
    expectFailure(ErrorCode::CheckpointInvalid, part, [&] { readBytes(bytes); });
    expectFailure(ErrorCode::CheckpointInvalid, "pytorch_model.bin", [&] { readBytes(bytes); });
  });
}

const at::Tensor& grid() {
  static const at::Tensor tensor = at::arange(6, at::kFloat).view({2, 3});
  return tensor;
}

TEST(TorchFile, ReadsAModulesStateDict) {
  // What state_dict() gives: an OrderedDict with its modules' versions as an attribute.
  const std::string metadata =
      dict(text("_metadata") + orderedDict() + "(" + text("") + dict(text("version") + integer(1)) + "u");
  inBothFormats(orderedDict() + "(" + text("w") + sixTensor() + "u" + metadata + "b",
                [](const std::string& bytes) {
                  const TensorTable table = readBytes(bytes);
                  ASSERT_EQ(table.size(), 1u);
                  EXPECT_TRUE(at::equal(table.at("w"), grid()));
                });
}

TEST(TorchFile, ReadsParametersAndNestedStateDicts) {
  const std::string parameter =
      call(global("torch._utils", "_rebuild_parameter"), sixTensor() + "\x88" + orderedDict());
  for (const char* key : {"state_dict", "model_state_dict"}) {
    const std::string beside = text("epoch") + integer(3) + text("lr") + "G" + number(0, 8) + text("best") +
                               "N" + text("dtype") + global("torch", "float32") + text("history") + "](" +
                               integer(1) + integer(2) + "e" + text("done") + "\x89";
    inBothFormats(dict(beside + text(key) + dict(text("w") + parameter)), [](const std::string& bytes) {
      const TensorTable table = readBytes(bytes);
      ASSERT_EQ(table.size(), 1u);
      EXPECT_TRUE(at::equal(table.at("w"), grid()));
    });
  }
}

TEST(TorchFile, KeepsViewsOfOneStorage) {
  inBothFormats(dict(text("a") + tensor(sixStorage(), 0, {3, 2}, {1, 3}) + text("b") +
                     tensor(sixStorage(), 4, {2}, {1}) + text("scalar") + tensor(sixStorage(), 5, {}, {}) +
                     text("empty") + tensor(sixStorage(), 6, {0, 3}, {3, 1})),
                [](const std::string& bytes) {
                  TensorTable table = readBytes(bytes);
                  EXPECT_TRUE(at::equal(table.at("a"), grid().t()));
                  EXPECT_TRUE(at::equal(table.at("scalar"), at::scalar_tensor(5.0f)));
                  EXPECT_EQ(table.at("empty").sizes(), at::IntArrayRef({0, 3}));
                  table.at("b").fill_(9);
                  EXPECT_EQ(table.at("scalar").item<float>(), 9);
                });
}

TEST(TorchFile, ReadsEveryPickleProtocolOfTorchSave) {
  // Protocol 4: frames, short texts, globals from the stack, memo entries by order.
  const auto brief = [](const std::string& value) {
    return std::string("\x8c").append(number(value.size(), 1)).append(value);
  };
  const std::string frame = "\x95" + number(1, 8);
  const std::string named = brief("torch._utils") + "\x94" + brief("_rebuild_tensor_v2") + "\x94\x93\x94";
  const std::string id = tuple(brief("storage") + brief("torch") + brief("FloatStorage") + "\x93" +
                               brief("0") + brief("cpu") + "K\x06") +
                         "Q";
  const std::string body = frame + "}" + brief("w") + named +
                           tuple(id + std::string("K\0", 2) + "K\x02K\x03\x86K\x03K\x01\x86\x89" +
                                 brief("collections") + brief("OrderedDict") + "\x93)R") +
                           "Rs";
  const std::string state = "\x80\x04" + body + ".";
  EXPECT_TRUE(at::equal(readBytes(zipFile(state, {{"0", six()}})).at("w"), grid()));
  // Memo entries by number, in both widths.
  const std::string recalled = dict(text("w") + "q\x07" + sixTensor() + "r" + number(70000, 4) + text("v") +
                                    "j" + number(70000, 4) + text("u") + "0" + "h\x07" + "0");
  expectFailure(ErrorCode::CheckpointInvalid, "operation 48", [&] {
    readBytes(zipFile(pickle(recalled), {{"0", six()}}));
  });
  const TensorTable table =
      readBytes(zipFile(pickle(dict(text("w") + "q\x07" + sixTensor() + "r" + number(70000, 4) + text("v") +
                                    "j" + number(70000, 4))),
                        {{"0", six()}}));
  EXPECT_TRUE(at::equal(table.at("v"), grid()));
}

TEST(TorchFile, LeavesTheFileAsItWas) {
  const tiny::Folder folder;
  const std::string bytes = zipFile(pickle(dict(text("w") + sixTensor())), {{"0", six()}});
  writeFileAtomic(folder / "a.bin", bytes);
  readTorchFile(folder / "a.bin").at("w").fill_(7);
  EXPECT_EQ(readFile(folder / "a.bin"), bytes);
}

TEST(TorchFile, RunsNoCode) {
  const std::filesystem::path witness = std::filesystem::temp_directory_path() / "seprog_torch_file_test";
  std::filesystem::remove(witness);
  const std::string command = text("touch " + witness.string());
  const std::string system = global("os", "system");
  struct Row {
    const char* asked;
    std::string value;
  };
  const Row rows[] = {
      {"os.system", call(system, command)},
      {"posix.system", call(global("posix", "system"), command)},
      {"builtins.eval", call(global("builtins", "eval"), command)},
      {"__builtin__.getattr", call(global("__builtin__", "getattr"), command)},
      {"subprocess.Popen", text("subprocess") + text("Popen") + "\x93" + tuple(command) + "R"},
      // Inside the arguments of what is allowed, in a dictionary's key, in the memo alone.
      {"os.system",
       call(global("torch._utils", "_rebuild_parameter"), call(system, command) + "\x88" + orderedDict())},
      {"os.system", dict(call(system, command) + integer(1))},
      {"os.system", system + "q\x05" + command},
      {"os.system?x", global("os", "system\tx")},
      // Names that only begin or end like what is allowed.
      {"torch._utils._rebuild_tensor_v2.__globals__",
       global("torch._utils", "_rebuild_tensor_v2.__globals__")},
      {"torch.storage._load_from_bytes", call(global("torch.storage", "_load_from_bytes"), command)},
      {"collections.OrderedDict.fromkeys", global("collections", "OrderedDict.fromkeys")},
      {"a call of torch.FloatStorage", call(global("torch", "FloatStorage"), integer(1))},
      {"a call of torch.float32", call(global("torch", "float32"), "")},
      {"INST", "(" + command + "ios\nsystem\n"},
      {"OBJ", "(" + command + "o"},
      {"NEWOBJ", global("collections", "OrderedDict") + ")\x81"},
      {"NEWOBJ_EX", global("collections", "OrderedDict") + ")}\x92"},
      {"EXT1", "\x82\x01"},
      {"PERSID", "Pid\n"},
      {"BUILD", orderedDict() + dict(text("__setstate__") + integer(1)) + "b"},
      {"BUILD", orderedDict() + dict(text("_metadata") + integer(1) + text("__class__") + integer(1)) + "b"},
      {"BUILD", "}" + dict(text("_metadata") + integer(1)) + "b"},
      {"BUILD", sixTensor() + dict(text("_metadata") + integer(1)) + "b"},
  };
  for (const Row& row : rows) {
    refused(dict(text("w") + sixTensor() + text("x") + row.value), row.asked);
    refused(dict(text("state_dict") + dict(text("w") + sixTensor()) + text("x") + row.value), row.asked);
  }
  EXPECT_FALSE(std::filesystem::exists(witness));
}

TEST(TorchFile, RefusesDamagedPickles) {
  const std::string w = text("w");
  const auto view = [&](int64_t offset, const std::vector<int64_t>& sizes,
                        const std::vector<int64_t>& strides) {
    return dict(w + tensor(sixStorage(), offset, sizes, strides));
  };
  constexpr int64_t kHuge = int64_t{1} << 62;
  // Tensors that lie outside their storage, or claim more than it holds.
  refused(view(4, {2, 3}, {3, 1}), "within its storage of 6 elements");
  refused(view(0, {7}, {1}), "within its storage");
  refused(view(0, {7}, {0}), "within its storage");
  refused(view(7, {0}, {1}), "within its storage");
  refused(view(0, {2, 2}, {kHuge, kHuge}), "within its storage");
  refused(view(0, {kHuge, kHuge}, {0, 0}), "within its storage");
  refused(view(0, {kHuge, kHuge, 0}, {0, 0, 0}), "within its storage");
  refused(view(kHuge, {2}, {kHuge}), "within its storage");
  refused(view(-1, {2}, {1}), "offset");
  refused(view(0, {-1}, {1}), "sizes of 0 or more");
  refused(view(5, {2}, {-1}), "strides of 0 or more");
  refused(view(0, {2, 3}, {3}), "as many strides as sizes");
  refused(view(0, std::vector<int64_t>(9, 1), std::vector<int64_t>(9, 1)), "sizes of 0 or more");
  // Storages.
  refused(dict(w + tensor(storage("FloatStorage", "0", -6), 0, {1}, {1})), "number of elements");
  refused(dict(w + tensor(storage("FloatStorage", "1", 6), 0, {1}, {1})), "");
  refused(dict(w + tensor(storage("FloatStorage", "0", kHuge), 0, {1}, {1})), "elements");
  refused(dict(w + tensor(storage("ComplexFloatStorage", "0", 3), 0, {1}, {1})), "torch.ComplexFloatStorage");
  refused(dict(w + tensor(storage("FloatStorage", "0", 6, tuple("")), 0, {1}, {1})), "whole storages");
  refused(dict(w + sixTensor() + text("v") + tensor(storage("IntStorage", "0", 6), 0, {1}, {1})),
          "one type and size");
  // Values that are no tensors.
  refused(dict(text("v") + sixTensor() + w + integer(1)), ":w` but received a value of another kind");
  refused(dict(integer(1) + sixTensor()), "texts as names");
  refused(dict(w + sixTensor() + w + sixTensor()), ":w` but received two");
  refused("]" + sixTensor() + "a", "a dictionary of tensors");
  refused(dict(w + call(global("torch._utils", "_rebuild_tensor_v2"), sixStorage() + integer(0) +
                                                                          counts({1}) + counts({1}) + "\x89" +
                                                                          dict(text("hook") + integer(1)))),
          "without hooks");
  // Not pickles.
  refused("0", "operation 48");
  refused("s", "a value on the stack");
  refused("(", "a value on the stack");
  refused("}(" + w + "u", "pairs of keys and values");
  refused(")" + w + "a", "a list");
  refused("t", "a mark on the stack");
  refused("h\x01", "memo entry 1");
  refused("\x80\x06", "protocol 2 to 5");
  refused("X" + number(0xFFFFFFFF, 4), "truncated");
  refused("\x8d" + number(~uint64_t{0}, 8), "truncated");
}

TEST(TorchFile, BoundsWhatAPickleCanCost) {
  // A memo entry far out costs one entry, lists of lists of lists are not walked, and there is an end to steps.
  const std::string far = dict(text("w") + sixTensor() + "r" + number(0xFFFFFFFF, 4));
  inBothFormats(far, [](const std::string& bytes) { EXPECT_EQ(readBytes(bytes).size(), 1u); });
  std::string laughs = "](]q\x01";
  for (char i = 1; i < 100; ++i)
    laughs += std::string("](") + "h" + i + "h" + i + "eq" + static_cast<char>(i + 1);
  laughs += "e";
  const std::string deep = std::string(300'000, '(') + std::string(300'000, 't');
  for (const std::string& bomb : {laughs, deep}) {
    inBothFormats(dict(text("state_dict") + dict(text("w") + sixTensor()) + text("x") + bomb),
                  [](const std::string& bytes) { EXPECT_EQ(readBytes(bytes).size(), 1u); });
  }
  const std::string endless = zipFile(std::string(5'000'000, ']'), {});
  expectFailure(ErrorCode::CheckpointInvalid, "operations", [&] { readBytes(endless); });
}

TEST(TorchFile, ReadsWideAndCommentedArchives) {
  const std::string state = pickle(dict(text("w") + sixTensor()));
  const std::vector<Entry> entries = {{"m/data.pkl", state}, {"m/data/0", six()}};
  for (const Archive& archive : {Archive{true}, Archive{false, "a comment with PK\5\6 in it"}}) {
    EXPECT_TRUE(at::equal(readBytes(zip(entries, archive)).at("w"), grid()));
  }
}

TEST(TorchFile, RefusesBadArchives) {
  const std::string state = pickle(dict(text("w") + sixTensor()));
  const Entry pkl{"m/data.pkl", state};
  const Entry data{"m/data/0", six()};
  const auto refusedZip = [](const std::vector<Entry>& entries, const std::string& part) {
    expectFailure(ErrorCode::CheckpointInvalid, part, [&] { readBytes(zip(entries)); });
  };
  refusedZip({{"m/data.pkl", state, 8}, data}, "a compressed one (method 8)");
  refusedZip({pkl, {"m/data/0", six(), 0, 1}}, "an encrypted one");
  refusedZip({pkl, data, data}, "m/data/0` but received two of this name");
  refusedZip({pkl, data, {"n/data.pkl", state}}, "one data.pkl");
  refusedZip({data}, "with a data.pkl");
  refusedZip({{"m/sub/data.pkl", state}, data}, "with a data.pkl");
  refusedZip({pkl}, ":0` but received none");
  refusedZip({pkl, {"m/data/0", six() + "x"}}, "but received 25 bytes");
  refusedZip({pkl, data, {"m/byteorder", "big"}}, "but received big");
  refusedZip({pkl, {"m/data/0", six(), 0, 0, "m/data/1"}}, "both headers");
  for (const char* name : {"../etc/passwd", "m/../../x", "/etc/passwd", "m\\..\\x", "..", "m/.."}) {
    refusedZip({pkl, data, {name, "x"}}, "names inside their archive");
  }
  refusedZip({pkl, data, {std::string("m/data/0\0", 9), "x"}}, "names inside their archive");
  std::string manyEntries = zip({pkl, data});
  manyEntries[manyEntries.size() - 12] = '\x70';
  expectFailure(ErrorCode::CheckpointInvalid, "entries", [&] { readBytes(manyEntries); });
}

TEST(TorchFile, RefusesBadLegacyFiles) {
  const std::string state = pickle(dict(text("w") + sixTensor()));
  const auto refusedBytes = [](const std::string& bytes, const std::string& part) {
    expectFailure(ErrorCode::CheckpointInvalid, part, [&] { readBytes(bytes); });
  };
  const std::string keys = pickle("](" + text("0") + "e");
  refusedBytes(legacyPreamble(false) + state + keys + number(6, 8) + six(), "little_endian");
  refusedBytes(legacyPreamble() + state + keys + number(5, 8) + six(), "expected 6 elements");
  refusedBytes(legacyPreamble() + state + keys + number(6, 8) + six() + "x", "1 more bytes");
  refusedBytes(legacyPreamble() + state + pickle("]") + number(6, 8) + six(), "more bytes");
  refusedBytes(legacyPreamble() + state + pickle("]"), ":0` but received none");
  refusedBytes(legacyPreamble() + state + pickle("](" + text("1") + "e") + number(6, 8) + six(),
               "another key");
  refusedBytes(legacyPreamble() + state + pickle("](" + text("0") + text("0") + "e") + number(6, 8) + six() +
                   number(6, 8) + six(),
               "one storage");
  refusedBytes(pickle(integer(1)) + state, "another pickle");
  refusedBytes(state, "another pickle");
  refusedBytes("version https://git-lfs.github.com/spec/v1\n", "Git LFS");
  refusedBytes("", "made by torch.save");
  const tiny::Folder folder;
  expectFailure(ErrorCode::CheckpointInvalid, "nothing.bin", [&] { readTorchFile(folder / "nothing.bin"); });
  expectFailure(ErrorCode::CheckpointInvalid, "regular file", [&] { readTorchFile(folder.path()); });
}

TEST(TorchFile, SurvivesAnyCutAndAnyChangedByte) {
  inBothFormats(dict(text("w") + sixTensor()), [](const std::string& whole) {
    const tiny::Folder folder;
    const auto tried = [&](const std::string& bytes) {
      std::ofstream(folder / "m.bin", std::ios::binary | std::ios::trunc) << bytes;
      try {
        for (const auto& [name, tensor] : readTorchFile(folder / "m.bin")) tensor.clone();
        return true;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::CheckpointInvalid) << error.what();
        return false;
      }
    };
    EXPECT_TRUE(tried(whole));
    for (size_t cut = 0; cut < whole.size(); ++cut) EXPECT_FALSE(tried(whole.substr(0, cut))) << cut;
    for (size_t at = 0; at < whole.size(); ++at) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ (at % 2 == 0 ? '\x80' : '\x01'));
      tried(changed);
    }
  });
}

}  // namespace
}  // namespace seprog
