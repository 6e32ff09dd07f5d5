// What the tests of editors and tuners share: a tiny T5, random episodes, a scratch folder.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/editors/editor.h"
#include "core/error.h"
#include "core/tensor/random.h"

namespace seprog::tiny {

inline constexpr int64_t kVocabulary = 60;

inline Json config() {
  return Json::parse(
      R"({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 16, "d_kv": 8,
      "d_ff": 32, "num_heads": 2, "num_layers": 2, "num_decoder_layers": 2, "vocab_size": 60,
      "feed_forward_proj": "relu", "relative_attention_num_buckets": 8, "decoder_start_token_id": 0})");
}

inline Json bartConfig() {
  return Json::parse(R"({"model_type": "bart", "architectures": ["BartForConditionalGeneration"],
      "d_model": 24, "encoder_attention_heads": 3, "decoder_attention_heads": 2, "encoder_ffn_dim": 40,
      "decoder_ffn_dim": 32, "encoder_layers": 2, "decoder_layers": 3, "vocab_size": 60,
      "max_position_embeddings": 24, "pad_token_id": 0, "eos_token_id": 1})");
}

inline Json gpt2Config() {
  return Json::parse(R"({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 24,
      "n_head": 3, "n_inner": 40, "n_layer": 3, "n_positions": 24, "vocab_size": 60, "eos_token_id": 1})");
}

/// BERT with a head of one logit.
inline Json bertConfig() {
  return Json::parse(R"({"model_type": "bert", "architectures": ["BertForSequenceClassification"],
      "hidden_size": 24, "num_attention_heads": 3, "intermediate_size": 40, "num_hidden_layers": 3,
      "vocab_size": 60, "max_position_embeddings": 24, "num_labels": 1})");
}

inline Json distilbertConfig() {
  return Json::parse(R"({"model_type": "distilbert", "architectures": ["DistilBertForSequenceClassification"],
      "dim": 24, "n_heads": 2, "hidden_dim": 40, "n_layers": 3, "vocab_size": 60,
      "max_position_embeddings": 24})");
}

/// `config` with the members of the object `more` in place of its own.
inline Json with(const Json& config, const std::string& more) {
  Json::Object members = config.object();
  const Json added = Json::parse(more);
  for (const auto& [key, value] : added.object()) {
    std::erase_if(members, [&, name = key](const auto& member) { return member.first == name; });
    members.emplace_back(key, value);
  }
  return Json(std::move(members));
}

inline std::shared_ptr<const Model> model(uint64_t seed = 1) {
  return std::make_shared<const Model>(createModel(config(), seed, at::kCPU));
}

/// The spec of a SEPROG editor of sizes to match; `more` is appended inside the object, starting with a
/// comma.
inline Json spec(const std::string& more = "") {
  return Json::parse(R"({"kind": "seprog", "seed": 3, "promptLength": 4, "hiddenWidth": 24)" + more + "}");
}

/// Rows of `least` to `most` ids in [3, vocabulary), each closed by the stop id 1.
inline TokenRows rows(Random& random, int64_t count, int64_t least, int64_t most) {
  TokenRows out;
  for (int64_t b = 0; b < count; ++b) {
    const int64_t length =
        least + static_cast<int64_t>(random.uniform() * static_cast<double>(most - least + 1));
    for (int64_t t = 0; t < length; ++t) {
      out.ids.push_back(3 + static_cast<int32_t>(random.uniform() * static_cast<double>(kVocabulary - 3)));
    }
    out.ids.push_back(1);
    out.lengths.push_back(static_cast<int32_t>(length) + 1);
  }
  return out;
}

/// One class id of [0, classes) a row.
inline TokenRows classes(Random& random, int64_t count, int64_t classes) {
  TokenRows out;
  for (int64_t b = 0; b < count; ++b) {
    out.ids.push_back(static_cast<int32_t>(random.uniform() * static_cast<double>(classes)));
    out.lengths.push_back(1);
  }
  return out;
}

inline PairRows pairs(Random& random, int64_t count) {
  PairRows out;
  out.source = rows(random, count, 2, 7);
  out.target = rows(random, count, 1, 3);
  return out;
}

inline EpisodeBatch episodes(uint64_t seed, int64_t episodes, int64_t edits) {
  Random random(seed);
  EpisodeBatch batch;
  batch.episodes = episodes;
  batch.edits = pairs(random, episodes * edits);
  batch.editText = rows(random, episodes * edits, 4, 9);
  batch.inScope = pairs(random, episodes * edits);
  batch.outScope = pairs(random, episodes * edits);
  return batch;
}

/// An empty folder that goes with the test.
class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "seprog-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline double figure(const Figures& figures, const std::string& name) {
  for (const auto& [key, value] : figures) {
    if (key == name) return value;
  }
  ADD_FAILURE() << "no figure " << name;
  return 0;
}

/// The code of the Error that `action` throws; a failure of the test when it throws none.
template <typename Action>
ErrorCode codeOf(Action&& action, std::string* message = nullptr) {
  try {
    action();
  } catch (const Error& error) {
    if (message != nullptr) *message = error.what();
    return error.code();
  }
  ADD_FAILURE() << "expected an error";
  return ErrorCode::Internal;
}

}  // namespace seprog::tiny
