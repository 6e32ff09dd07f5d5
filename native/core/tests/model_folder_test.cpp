// Loading, making and saving model folders.
#include <ATen/ATen.h>

#include <fstream>

#include "core/io/atomic_file.h"
#include "core/io/safetensors.h"
#include "failure.h"
#include "tiny.h"
#include "torch_writer.h"

namespace seprog {
namespace {

std::string with(const std::string& key, const std::string& value) {
  Json::Object members;
  const Json config = tiny::config();
  for (const auto& member : config.object()) {
    if (member.first != key) members.push_back(member);
  }
  if (!value.empty()) members.emplace_back(key, Json::parse(value));
  return Json(members).dump();
}

TEST(ModelFolder, SavesAndLoadsTheSameBits) {
  const tiny::Folder folder;
  const auto model = tiny::model();
  saveModel(*model, folder / "m", "fp32");
  const Model loaded = loadModel(folder / "m", at::kCPU);
  EXPECT_EQ(loaded.weights.checksum(), model->weights.checksum());
  EXPECT_EQ(loaded.architecture->config().dump(), model->architecture->config().dump());
}

TEST(ModelFolder, SavedConfigsHoldFloatsWhereTransformersAsksForThem) {
  const tiny::Folder folder;
  const auto saved = [&](const Json& config) {
    saveModel(createModel(config, 1, at::kCPU), folder.path(), "fp32");
    return readFile(folder / "config.json");
  };
  const Json t5 = tiny::with(tiny::config(), R"({"initializer_factor": 1.0, "layer_norm_epsilon": 1e-06})");
  const std::string text = saved(t5);
  EXPECT_NE(text.find(R"("initializer_factor":1.0)"), std::string::npos) << text;
  EXPECT_NE(text.find(R"("layer_norm_epsilon":1e-06)"), std::string::npos) << text;
  EXPECT_NE(text.find(R"("num_layers":2,)"), std::string::npos) << text;
  EXPECT_EQ(readConfig(folder.path()).dump(), t5.dump());
  const std::string bart =
      saved(tiny::with(tiny::bartConfig(), R"({"encoder_layerdrop": 0.0, "init_std": 0.02, "dropout": 0})"));
  EXPECT_NE(bart.find(R"("encoder_layerdrop":0.0,"init_std":0.02,"dropout":0})"), std::string::npos) << bart;
}

TEST(ModelFolder, HalfPrecisionIsWidened) {
  for (const auto& [dtype, type] : {std::pair("fp16", at::kHalf), std::pair("bf16", at::kBFloat16)}) {
    const tiny::Folder folder;
    const auto model = tiny::model();
    saveModel(*model, folder.path(), dtype);
    EXPECT_EQ(readSafetensors(folder / "model.safetensors").tensors.at("shared.weight").scalar_type(), type);
    const Model loaded = loadModel(folder.path(), at::kCPU);
    for (const std::string& name : model->weights.names()) {
      EXPECT_TRUE(at::equal(loaded.weights.at(name), model->weights.at(name).to(type).to(at::kFloat)))
          << name;
    }
  }
  const auto model = tiny::model();
  const tiny::Folder folder;
  const Model huge{model->architecture,
                   model->weights.with({{"shared.weight", model->weights.at("shared.weight") * 1e6}})};
  expectFailure(ErrorCode::NonFinite, "shared.weight", [&] { saveModel(huge, folder.path(), "fp16"); });
  expectFailure(ErrorCode::ConfigInvalid, "`dtype`", [&] { saveModel(*model, folder.path(), "int8"); });
}

TEST(ModelFolder, LoadsShards) {
  const tiny::Folder folder;
  const auto model = tiny::model();
  saveModel(*model, folder.path(), "fp32");
  TensorTable first, second;
  Json::Object map;
  for (const auto& [name, tensor] : model->weights.flatten()) {
    const bool even = map.size() % 2 == 0;
    (even ? first : second).emplace(name, tensor);
    map.emplace_back(name, Json(even ? "one.safetensors" : "two.safetensors"));
  }
  writeSafetensors(folder / "one.safetensors", first);
  writeSafetensors(folder / "two.safetensors", second);
  std::filesystem::remove(folder / "model.safetensors");
  const std::string index = folder / "model.safetensors.index.json";
  writeFileAtomic(index, Json(Json::Object{{"weight_map", Json(map)}}).dump());
  EXPECT_EQ(loadModel(folder.path(), at::kCPU).weights.checksum(), model->weights.checksum());

  std::filesystem::remove(folder / "two.safetensors");
  expectFailure(ErrorCode::CheckpointInvalid, "two.safetensors", [&] { loadModel(folder.path(), at::kCPU); });
  second.emplace(*first.begin());
  writeSafetensors(folder / "two.safetensors", second);
  expectFailure(ErrorCode::CheckpointInvalid, "received two", [&] { loadModel(folder.path(), at::kCPU); });
  writeFileAtomic(index, R"({"weight_map": {"a": "../one.safetensors"}})");
  expectFailure(ErrorCode::CheckpointInvalid, "a file name", [&] { loadModel(folder.path(), at::kCPU); });
  writeFileAtomic(index, R"({"metadata": {}})");
  expectFailure(ErrorCode::CheckpointInvalid, "weight_map", [&] { loadModel(folder.path(), at::kCPU); });
  std::filesystem::remove(index);
  expectFailure(ErrorCode::CheckpointInvalid, "pytorch_model.bin.index.json for `" + folder.path(),
                [&] { loadModel(folder.path(), at::kCPU); });
}

TEST(ModelFolder, LoadsPyTorchFilesAndTheirShards) {
  const auto model = tiny::model();
  const TensorTable table = model->weights.flatten();
  for (const TorchFormat format : {TorchFormat::Zip, TorchFormat::Legacy}) {
    const tiny::Folder folder;
    const std::string whole = folder / "pytorch_model.bin";
    writeFileAtomic(folder / "config.json", tiny::config().dump());
    writeTorchFile(whole, table, format);
    EXPECT_EQ(loadModel(folder.path(), at::kCPU).weights.checksum(), model->weights.checksum());

    TensorTable first, second;
    Json::Object map;
    for (const auto& [name, tensor] : table) {
      const bool even = map.size() % 2 == 0;
      (even ? first : second).emplace(name, tensor);
      map.emplace_back(name, Json(even ? "pytorch_model-00001-of-00002.bin" : "two.bin"));
    }
    std::filesystem::remove(whole);
    writeTorchFile(folder / "pytorch_model-00001-of-00002.bin", first, format);
    writeTorchFile(folder / "two.bin", second, format);
    writeFileAtomic(whole + ".index.json", Json(Json::Object{{"weight_map", Json(map)}}).dump());
    EXPECT_EQ(loadModel(folder.path(), at::kCPU).weights.checksum(), model->weights.checksum());
    second.emplace(*first.begin());
    writeTorchFile(folder / "two.bin", second, format);
    expectFailure(ErrorCode::CheckpointInvalid, "received two", [&] { loadModel(folder.path(), at::kCPU); });

    // Safetensors come first: what cannot do harm is preferred where a folder holds both.
    saveModel(*tiny::model(9), folder.path(), "fp32");
    EXPECT_EQ(loadModel(folder.path(), at::kCPU).weights.checksum(), tiny::model(9)->weights.checksum());
  }
}

TEST(ModelFolder, WidensAndStraightensWhatPyTorchFilesHold) {
  const auto model = tiny::model();
  const std::string name = "encoder.block.0.layer.1.DenseReluDense.wi.weight";
  for (const TorchFormat format : {TorchFormat::Zip, TorchFormat::Legacy}) {
    TensorTable table;
    for (const auto& [key, tensor] : model->weights.flatten()) table.emplace(key, tensor.to(at::kHalf));
    table[name] = table[name].t().contiguous().t();
    const tiny::Folder folder;
    writeFileAtomic(folder / "config.json", tiny::config().dump());
    writeTorchFile(folder / "pytorch_model.bin", table, format);
    const Model loaded = loadModel(folder.path(), at::kCPU);
    EXPECT_TRUE(loaded.weights.at(name).is_contiguous());
    for (const auto& [key, tensor] : table) {
      EXPECT_TRUE(at::equal(loaded.weights.at(key), tensor.to(at::kFloat))) << key;
    }
  }
}

TEST(ModelFolder, DropsWhatTheArchitectureDoesNotRead) {
  const auto model = tiny::model();
  TensorTable table = model->weights.flatten();
  table["position_ids"] = at::arange(12);
  table["encoder.block.0.layer.0.SelfAttention.mask"] = at::ones({4, 4}, at::kByte);
  table["num_batches_tracked"] = at::full({}, 3, at::kLong);
  table["other_task.head.weight"] = at::full({2, 2}, std::nan(""));
  const tiny::Folder safe, torch;
  for (const tiny::Folder* folder : {&safe, &torch}) {
    writeFileAtomic(*folder / "config.json", tiny::config().dump());
  }
  writeSafetensors(safe / "model.safetensors", table);
  writeTorchFile(torch / "pytorch_model.bin", table, TorchFormat::Zip);
  for (const tiny::Folder* folder : {&safe, &torch}) {
    const Model loaded = loadModel(folder->path(), at::kCPU);
    EXPECT_EQ(loaded.weights.names(), model->weights.names());
    EXPECT_EQ(loaded.weights.checksum(), model->weights.checksum());
  }
}

TEST(ModelFolder, MessagesNameTheFileAndTheTensorInIt) {
  // The name that stands in the file, not the one it is given here.
  TensorTable table = tiny::model()->weights.flatten();
  table["encoder.embed_tokens.weight"] = table["shared.weight"].clone().fill_(INFINITY);
  table.erase("shared.weight");
  const tiny::Folder folder;
  writeFileAtomic(folder / "config.json", tiny::config().dump());
  writeTorchFile(folder / "pytorch_model.bin", table, TorchFormat::Zip);
  expectFailure(ErrorCode::NonFinite, "`encoder.embed_tokens.weight` in " + (folder / "pytorch_model.bin"),
                [&] { loadModel(folder.path(), at::kCPU); });
  table["encoder.embed_tokens.weight"] = at::ones({60, 15});
  writeTorchFile(folder / "pytorch_model.bin", table, TorchFormat::Zip);
  expectFailure(ErrorCode::ShapeMismatch,
                "`encoder.embed_tokens.weight` in " + (folder / "pytorch_model.bin"),
                [&] { loadModel(folder.path(), at::kCPU); });
}

TEST(ModelFolder, RefusesBadWeights) {
  const tiny::Folder folder;
  const auto model = tiny::model();
  saveModel(*model, folder.path(), "fp32");
  const std::string name = "encoder.block.0.layer.1.DenseReluDense.wi.weight";
  struct Row {
    ErrorCode code;
    const char* part;
    at::Tensor tensor;  // undefined: the tensor is left out
  };
  at::Tensor nan = model->weights.at(name).clone();
  nan[1][1] = std::nan("");
  at::Tensor infinite = model->weights.at(name).clone();
  infinite[0][0] = -INFINITY;
  const Row rows[] = {{ErrorCode::WeightMissing, "received none", {}},
                      {ErrorCode::ShapeMismatch, "expected shape [32, 16]", at::ones({16, 32})},
                      {ErrorCode::NonFinite, "NaN or infinity", nan},
                      {ErrorCode::NonFinite, "NaN or infinity", infinite},
                      {ErrorCode::CheckpointInvalid, "floating-point", at::ones({32, 16}, at::kLong)}};
  for (const Row& row : rows) {
    TensorTable table = model->weights.flatten();
    if (row.tensor.defined()) {
      table[name] = row.tensor;
    } else {
      table.erase(name);
    }
    writeSafetensors(folder / "model.safetensors", table);
    expectFailure(row.code, row.part, [&] { loadModel(folder.path(), at::kCPU); });
    expectFailure(row.code, name, [&] { loadModel(folder.path(), at::kCPU); });
  }
}

TEST(ModelFolder, RefusesBadConfigs) {
  struct Row {
    ErrorCode code;
    const char* part;
    std::string text;
  };
  const Row rows[] = {
      {ErrorCode::CheckpointInvalid, "JSON at byte", "{"},
      {ErrorCode::ConfigInvalid, "`config.model_type` but received nothing", with("model_type", "")},
      {ErrorCode::Unsupported, "\"mamba\"", with("model_type", "\"mamba\"")},
      {ErrorCode::ConfigInvalid, "`config.d_model`", with("d_model", "")},
      {ErrorCode::ConfigInvalid, "`config.d_model` but received 0", with("d_model", "0")},
      {ErrorCode::ConfigInvalid, "`config.d_kv` but received \"8\"", with("d_kv", "\"8\"")},
      {ErrorCode::ConfigInvalid, "`config.num_layers` but received 1.5", with("num_layers", "1.5")},
      {ErrorCode::ConfigInvalid, "below vocab_size 60", with("eos_token_id", "60")},
      {ErrorCode::Unsupported, "`config.feed_forward_proj` but received \"gated-silu\"",
       with("feed_forward_proj", "\"gated-silu\"")},
      {ErrorCode::ConfigInvalid, "relative_attention_max_distance",
       with("relative_attention_max_distance", "2")},
      {ErrorCode::ShapeMismatch, "do not belong together", with("d_ff", "33")},
  };
  for (const Row& row : rows) {
    const tiny::Folder folder;
    saveModel(*tiny::model(), folder.path(), "fp32");
    writeFileAtomic(folder / "config.json", row.text);
    expectFailure(row.code, row.part, [&] { loadModel(folder.path(), at::kCPU); });
  }
  const tiny::Folder empty;
  expectFailure(ErrorCode::CheckpointInvalid, "config.json", [&] { loadModel(empty.path(), at::kCPU); });
}

TEST(ModelFolder, HeadIsUntiedByItsValues) {
  const auto model = tiny::model();
  const at::Tensor shared = model->weights.at("shared.weight");
  const auto loadWith = [&](const std::string& config, const at::Tensor& head) {
    const tiny::Folder folder;
    TensorTable table = model->weights.flatten();
    if (head.defined()) table["lm_head.weight"] = head;
    writeSafetensors(folder / "model.safetensors", table);
    writeFileAtomic(folder / "config.json", config);
    const Model loaded = loadModel(folder.path(), at::kCPU);
    return loaded.architecture->head(loaded.weights);
  };
  const double scale = 1 / std::sqrt(16.0);
  const Head tied = loadWith(with("x", ""), shared.clone());
  EXPECT_TRUE(at::equal(tied.weight_VD, shared));
  EXPECT_EQ(tied.scale, scale);
  // Written by newer versions for every T5: the scale field and the values tell, not the tie field.
  const std::string claims = with("tie_word_embeddings", "true");
  EXPECT_TRUE(at::equal(loadWith(claims, shared * 2).weight_VD, shared * 2));
  const Head unscaled = loadWith(with("scale_decoder_outputs", "false"), at::Tensor());
  EXPECT_EQ(unscaled.scale, 1);
  EXPECT_TRUE(at::equal(unscaled.weight_VD, shared));
  expectFailure(ErrorCode::ShapeMismatch, "lm_head.weight", [&] {
    loadWith(with("x", ""), at::ones({7, 16}));
  });
  const Head own = loadWith(with("tie_word_embeddings", "false"), shared * 2);
  EXPECT_EQ(own.scale, 1);
  EXPECT_TRUE(at::equal(own.weight_VD, shared * 2));
  expectFailure(ErrorCode::WeightMissing, "lm_head.weight",
                [&] { loadWith(with("tie_word_embeddings", "false"), at::Tensor()); });
}

TEST(CreateModel, SameSeedSameBitsAndTheFamilysDeviations) {
  EXPECT_EQ(tiny::model(7)->weights.checksum(), tiny::model(7)->weights.checksum());
  EXPECT_NE(tiny::model(7)->weights.checksum(), tiny::model(8)->weights.checksum());
  const Json config =
      Json::parse(R"({"model_type": "t5", "d_model": 64, "d_kv": 32, "d_ff": 256, "num_heads": 4,
      "num_layers": 1, "vocab_size": 500, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": false})");
  const Model model = createModel(config, 3, at::kCPU);
  const std::string block = "decoder.block.0.layer.";
  const std::pair<std::string, double> rows[] = {
      {"shared.weight", 1},
      {"lm_head.weight", 1},
      {block + "0.SelfAttention.q.weight", 1 / std::sqrt(64.0 * 32)},
      {block + "0.SelfAttention.k.weight", 1 / std::sqrt(64.0)},
      {block + "1.EncDecAttention.v.weight", 1 / std::sqrt(64.0)},
      {block + "1.EncDecAttention.o.weight", 1 / std::sqrt(128.0)},
      {block + "2.DenseReluDense.wi_1.weight", 1 / std::sqrt(64.0)},
      {block + "2.DenseReluDense.wo.weight", 1 / std::sqrt(256.0)}};
  for (const auto& [name, deviation] : rows) {
    const at::Tensor& weight = model.weights.at(name);
    EXPECT_NEAR(weight.std().item<double>() / deviation, 1, 0.05) << name;
    EXPECT_NEAR(weight.mean().item<double>() / deviation, 0, 0.05) << name;
  }
  EXPECT_TRUE(at::equal(model.weights.at(block + "2.layer_norm.weight"), at::ones({64})));
}

TEST(Random, DrawsTheSameOnEveryMachine) {
  Random random(1, "x");
  EXPECT_EQ(random.next(), 5220453969838330087ULL);
  EXPECT_EQ(random.next(), 1471537706138260302ULL);
  EXPECT_EQ(Random(5).normalTensor({3}, 0, 1)[2].item<float>(), -0.214705437f);
  EXPECT_NE(Random(1, "y").next(), Random(1, "x").next());
}

}  // namespace
}  // namespace seprog
