#include "hub_layouts.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "core/editors/seprog/edit_encoder.h"
#include "core/io/atomic_file.h"
#include "core/io/safetensors.h"
#include "torch_writer.h"

namespace seprog {
namespace {

using Shape = std::vector<int64_t>;

/// `changes` replace or extend the members of a configuration.
Json changed(const Json& config, const Json& changes) {
  Json::Object members;
  for (const auto& [key, value] : config.object()) {
    if (changes.find(key) == nullptr) members.emplace_back(key, value);
  }
  for (const auto& member : changes.object()) members.push_back(member);
  return Json(std::move(members));
}

Json sized(HubSize size, const char* real, const char* tiny) {
  const Json config = Json::parse(real);
  return size == HubSize::Real ? config : changed(config, Json::parse(tiny));
}

int64_t field(const Json& config, const char* name) {
  return static_cast<int64_t>(config.find(name)->number());
}

/// Adds tensors, each under its name in the file and the one it is loaded under.
class Layout {
 public:
  using Rename = std::function<std::string(const std::string& name)>;
  explicit Layout(HubModel model, Rename loadedAs)
      : model_(std::move(model)), loadedAs_(std::move(loadedAs)) {}

  void add(const std::string& name, Shape shape) {
    model_.tensors.push_back({name, std::move(shape), loadedAs_(name)});
  }
  void linear(const std::string& name, int64_t out, int64_t in) {
    add(name + ".weight", {out, in});
    add(name + ".bias", {out});
  }
  void norm(const std::string& name, int64_t width, const char* scale = "weight",
            const char* shift = "bias") {
    add(name + "." + scale, {width});
    add(name + "." + shift, {width});
  }
  void dropped(const std::string& name, Shape shape, at::ScalarType type = at::kFloat) {
    model_.tensors.push_back({name, std::move(shape), "", "", type});
  }
  void copy(const std::string& name, const std::string& of) {
    const auto original = std::find_if(model_.tensors.begin(), model_.tensors.end(),
                                       [&](const HubTensor& tensor) { return tensor.name == of; });
    model_.tensors.push_back({name, original->shape, "", of});
  }
  HubModel done() { return std::move(model_); }

 private:
  HubModel model_;
  Rename loadedAs_;
};

const Layout::Rename kAsNamed = [](const std::string& name) { return name; };

// T5

void addT5Stack(Layout& layout, const Json& config, const std::string& stack, int64_t blocks) {
  const int64_t width = field(config, "d_model");
  const int64_t inner = field(config, "num_heads") * field(config, "d_kv");
  const bool decoder = stack == "decoder";
  for (int64_t i = 0; i < blocks; ++i) {
    const std::string block = stack + ".block." + std::to_string(i) + ".layer.";
    const auto attention = [&](const std::string& layer, const std::string& kind) {
      for (const char* name : {"q", "k", "v"})
        layout.add(layer + kind + "." + name + ".weight", {inner, width});
      layout.add(layer + kind + ".o.weight", {width, inner});
      layout.add(layer + "layer_norm.weight", {width});
    };
    attention(block + "0.", "SelfAttention");
    if (i == 0) {
      layout.add(block + "0.SelfAttention.relative_attention_bias.weight",
                 {field(config, "relative_attention_num_buckets"), field(config, "num_heads")});
    }
    if (decoder) attention(block + "1.", "EncDecAttention");
    const std::string last = block + (decoder ? "2." : "1.");
    layout.add(last + "DenseReluDense.wi.weight", {field(config, "d_ff"), width});
    layout.add(last + "DenseReluDense.wo.weight", {width, field(config, "d_ff")});
    layout.add(last + "layer_norm.weight", {width});
  }
  layout.add(stack + ".final_layer_norm.weight", {width});
}

HubModel t5(const std::string& name, const Json& config, bool asEncoder) {
  Layout layout({name, config, {}, asEncoder}, [=](const std::string& tensor) {
    return asEncoder && tensor.starts_with("decoder.") ? std::string() : tensor;
  });
  layout.add("shared.weight", {field(config, "vocab_size"), field(config, "d_model")});
  addT5Stack(layout, config, "encoder", field(config, "num_layers"));
  addT5Stack(layout, config, "decoder", field(config, "num_layers"));
  layout.dropped("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",
                 {field(config, "relative_attention_num_buckets"), field(config, "num_heads")});
  for (const char* copy : {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"}) {
    layout.copy(copy, "shared.weight");
  }
  return layout.done();
}

constexpr const char* kTinyT5 = R"({"d_model": 16, "d_kv": 8, "d_ff": 32, "num_heads": 2, "num_layers": 2,
    "num_decoder_layers": 2, "vocab_size": 60})";

HubModel t5SmallAs(HubSize size, bool asEncoder) {
  return t5(asEncoder ? "t5-small as edit encoder" : "t5-small",
            sized(size, R"({"architectures": ["T5ForConditionalGeneration"], "d_ff": 2048, "d_kv": 64,
    "d_model": 512, "decoder_start_token_id": 0, "dropout_rate": 0.1, "eos_token_id": 1,
    "initializer_factor": 1.0, "is_encoder_decoder": true, "layer_norm_epsilon": 1e-06, "model_type": "t5",
    "n_positions": 512, "num_heads": 8, "num_layers": 6, "output_past": true, "pad_token_id": 0,
    "relative_attention_num_buckets": 32, "task_specific_params": {"summarization": {"early_stopping": true,
    "length_penalty": 2.0, "max_length": 200, "min_length": 30, "no_repeat_ngram_size": 3, "num_beams": 4,
    "prefix": "summarize: "}}, "vocab_size": 32128})",
                  kTinyT5),
            asEncoder);
}

// BART

void addBartStack(Layout& layout, const Json& config, const std::string& stack) {
  const int64_t width = field(config, "d_model");
  const int64_t inner = field(config, (stack + "_ffn_dim").c_str());
  layout.add(stack + ".embed_positions.weight", {field(config, "max_position_embeddings") + 2, width});
  layout.norm(stack + ".layernorm_embedding", width);
  for (int64_t i = 0; i < field(config, (stack + "_layers").c_str()); ++i) {
    const std::string layer = stack + ".layers." + std::to_string(i) + ".";
    const auto attention = [&](const std::string& kind) {
      for (const char* name : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
        layout.linear(layer + kind + "." + name, width, width);
      }
      layout.norm(layer + kind + "_layer_norm", width);
    };
    attention("self_attn");
    if (stack == "decoder") attention("encoder_attn");
    layout.linear(layer + "fc1", inner, width);
    layout.linear(layer + "fc2", width, inner);
    layout.norm(layer + "final_layer_norm", width);
  }
}

// BERT

HubModel bert(const std::string& name, const Json& config, bool withHead) {
  Layout layout({name, config, {}, !withHead}, [=](std::string tensor) {
    if (!withHead && tensor.starts_with("bert.pooler.")) return std::string();
    for (const auto& [old, now] :
         {std::pair("LayerNorm.gamma", "LayerNorm.weight"), std::pair("LayerNorm.beta", "LayerNorm.bias")}) {
      if (tensor.ends_with(old)) tensor.replace(tensor.size() - std::string(old).size(), 99, now);
    }
    return tensor;
  });
  const int64_t width = field(config, "hidden_size");
  const int64_t inner = field(config, "intermediate_size");
  const std::string embeddings = "bert.embeddings.";
  layout.add(embeddings + "word_embeddings.weight", {field(config, "vocab_size"), width});
  layout.add(embeddings + "position_embeddings.weight", {field(config, "max_position_embeddings"), width});
  layout.add(embeddings + "token_type_embeddings.weight", {field(config, "type_vocab_size"), width});
  layout.norm(embeddings + "LayerNorm", width, "gamma", "beta");
  for (int64_t i = 0; i < field(config, "num_hidden_layers"); ++i) {
    const std::string layer = "bert.encoder.layer." + std::to_string(i) + ".";
    for (const char* part : {"query", "key", "value"}) {
      layout.linear(layer + "attention.self." + part, width, width);
    }
    layout.linear(layer + "attention.output.dense", width, width);
    layout.norm(layer + "attention.output.LayerNorm", width, "gamma", "beta");
    layout.linear(layer + "intermediate.dense", inner, width);
    layout.linear(layer + "output.dense", width, inner);
    layout.norm(layer + "output.LayerNorm", width, "gamma", "beta");
  }
  layout.linear("bert.pooler.dense", width, width);
  layout.dropped("cls.predictions.bias", {field(config, "vocab_size")});
  layout.dropped("cls.predictions.transform.dense.weight", {width, width});
  layout.dropped("cls.predictions.transform.dense.bias", {width});
  layout.dropped("cls.predictions.transform.LayerNorm.gamma", {width});
  layout.dropped("cls.predictions.transform.LayerNorm.beta", {width});
  layout.dropped("cls.seq_relationship.weight", {2, width});
  layout.dropped("cls.seq_relationship.bias", {2});
  layout.copy("cls.predictions.decoder.weight", embeddings + "word_embeddings.weight");
  if (withHead) layout.linear("classifier", 1, width);
  return layout.done();
}

Json bertConfig(HubSize size) {
  return sized(size, R"({"architectures": ["BertForMaskedLM"], "attention_probs_dropout_prob": 0.1,
    "gradient_checkpointing": false, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 768,
    "initializer_range": 0.02, "intermediate_size": 3072, "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512, "model_type": "bert", "num_attention_heads": 12, "num_hidden_layers": 12,
    "pad_token_id": 0, "position_embedding_type": "absolute", "type_vocab_size": 2, "use_cache": true,
    "vocab_size": 30522})",
               R"({"hidden_size": 16, "intermediate_size": 32, "max_position_embeddings": 24,
    "num_attention_heads": 2, "num_hidden_layers": 2, "vocab_size": 120})");
}

// DistilBERT

HubModel distilbert(const std::string& name, const Json& config, bool withHead) {
  Layout layout({name, config, {}, !withHead}, kAsNamed);
  const int64_t width = field(config, "dim");
  const int64_t inner = field(config, "hidden_dim");
  const std::string embeddings = "distilbert.embeddings.";
  layout.add(embeddings + "word_embeddings.weight", {field(config, "vocab_size"), width});
  layout.add(embeddings + "position_embeddings.weight", {field(config, "max_position_embeddings"), width});
  layout.norm(embeddings + "LayerNorm", width);
  for (int64_t i = 0; i < field(config, "n_layers"); ++i) {
    const std::string layer = "distilbert.transformer.layer." + std::to_string(i) + ".";
    for (const char* part : {"q_lin", "k_lin", "v_lin", "out_lin"}) {
      layout.linear(layer + "attention." + part, width, width);
    }
    layout.norm(layer + "sa_layer_norm", width);
    layout.linear(layer + "ffn.lin1", inner, width);
    layout.linear(layer + "ffn.lin2", width, inner);
    layout.norm(layer + "output_layer_norm", width);
  }
  layout.dropped("vocab_transform.weight", {width, width});
  layout.dropped("vocab_transform.bias", {width});
  layout.dropped("vocab_layer_norm.weight", {width});
  layout.dropped("vocab_layer_norm.bias", {width});
  layout.dropped("vocab_projector.bias", {field(config, "vocab_size")});
  layout.copy("vocab_projector.weight", embeddings + "word_embeddings.weight");
  if (withHead) {
    layout.linear("pre_classifier", width, width);
    layout.linear("classifier", 2, width);
  }
  return layout.done();
}

Json distilbertConfig(HubSize size) {
  return sized(size, R"({"activation": "gelu", "architectures": ["DistilBertForMaskedLM"],
    "attention_dropout": 0.1, "dim": 768, "dropout": 0.1, "hidden_dim": 3072, "initializer_range": 0.02,
    "max_position_embeddings": 512, "model_type": "distilbert", "n_heads": 12, "n_layers": 6,
    "output_past": true, "pad_token_id": 0, "qa_dropout": 0.1, "seq_classif_dropout": 0.2,
    "sinusoidal_pos_embds": false, "tie_weights_": true, "vocab_size": 28996})",
               R"({"dim": 16, "hidden_dim": 32, "max_position_embeddings": 24, "n_heads": 2, "n_layers": 2,
    "vocab_size": 120})");
}

// GPT-2

HubModel gpt2(const std::string& name, HubSize size, const std::string& prefix, at::ScalarType masks) {
  const Json config = sized(size, R"({"_num_labels": 1, "activation_function": "gelu_new",
    "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1, "bos_token_id": 50256, "embd_pdrop": 0.1,
    "eos_token_id": 50256, "id2label": {"0": "LABEL_0"}, "initializer_range": 0.02,
    "label2id": {"LABEL_0": 0}, "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024,
    "n_embd": 768, "n_head": 12, "n_layer": 6, "n_positions": 1024, "resid_pdrop": 0.1,
    "summary_activation": null, "summary_first_dropout": 0.1, "summary_proj_to_labels": true,
    "summary_type": "cls_index", "summary_use_proj": true,
    "task_specific_params": {"text-generation": {"do_sample": true, "max_length": 50}},
    "vocab_size": 50257})",
                            R"({"n_embd": 16, "n_head": 2, "n_layer": 2, "n_positions": 24, "n_ctx": 24,
    "vocab_size": 60, "bos_token_id": 59, "eos_token_id": 59})");
  Layout layout({name, config, {}, false, true},
                [=](const std::string& tensor) { return prefix.empty() ? "transformer." + tensor : tensor; });
  const int64_t width = field(config, "n_embd");
  const int64_t positions = field(config, "n_positions");
  layout.add(prefix + "wte.weight", {field(config, "vocab_size"), width});
  layout.add(prefix + "wpe.weight", {positions, width});
  // Conv1D keeps its weight as [in, out].
  const auto conv1d = [&](const std::string& layer, int64_t in, int64_t out) {
    layout.add(layer + ".weight", {in, out});
    layout.add(layer + ".bias", {out});
  };
  for (int64_t i = 0; i < field(config, "n_layer"); ++i) {
    const std::string block = prefix + "h." + std::to_string(i) + ".";
    layout.norm(block + "ln_1", width);
    layout.dropped(block + "attn.bias", {1, 1, positions, positions}, masks);
    layout.dropped(block + "attn.masked_bias", {});
    conv1d(block + "attn.c_attn", width, 3 * width);
    conv1d(block + "attn.c_proj", width, width);
    layout.norm(block + "ln_2", width);
    conv1d(block + "mlp.c_fc", width, 4 * width);
    conv1d(block + "mlp.c_proj", 4 * width, width);
  }
  layout.norm(prefix + "ln_f", width);
  if (!prefix.empty()) layout.copy("lm_head.weight", prefix + "wte.weight");
  return layout.done();
}

/// FNV-1a.
uint64_t seedOf(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

}  // namespace

HubModel t5LargeSsmNq(HubSize size) {
  return t5("t5-large-ssm-nq",
            sized(size, R"({"architectures": ["T5ForConditionalGeneration"], "d_ff": 4096, "d_kv": 64,
    "d_model": 1024, "decoder_start_token_id": 0, "dropout_rate": 0.1, "eos_token_id": 1,
    "initializer_factor": 1.0, "is_encoder_decoder": true, "layer_norm_epsilon": 1e-06, "model_type": "t5",
    "n_positions": 512, "num_heads": 16, "num_layers": 24, "output_past": true, "pad_token_id": 0,
    "relative_attention_num_buckets": 32, "vocab_size": 32128})",
                  kTinyT5),
            false);
}

HubModel t5Small(HubSize size) { return t5SmallAs(size, false); }
HubModel t5SmallEncoder(HubSize size) { return t5SmallAs(size, true); }

HubModel bartBase(HubSize size) {
  const Json config = sized(size, R"({"_name_or_path": "bart-base", "activation_dropout": 0.1,
    "activation_function": "gelu", "add_bias_logits": false, "add_final_layer_norm": false,
    "architectures": ["BartModel"], "attention_dropout": 0.1, "bos_token_id": 0, "classif_dropout": 0.1,
    "classifier_dropout": 0.0, "d_model": 768, "decoder_attention_heads": 12, "decoder_ffn_dim": 3072,
    "decoder_layerdrop": 0.0, "decoder_layers": 6, "decoder_start_token_id": 2, "dropout": 0.1,
    "early_stopping": true, "encoder_attention_heads": 12, "encoder_ffn_dim": 3072, "encoder_layerdrop": 0.0,
    "encoder_layers": 6, "eos_token_id": 2, "forced_bos_token_id": 0, "forced_eos_token_id": 2,
    "gradient_checkpointing": false, "id2label": {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"},
    "init_std": 0.02, "is_encoder_decoder": true, "label2id": {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2},
    "max_position_embeddings": 1024, "model_type": "bart", "no_repeat_ngram_size": 3,
    "normalize_before": false, "normalize_embedding": true, "num_beams": 4, "num_hidden_layers": 6,
    "pad_token_id": 1, "scale_embedding": false, "task_specific_params": {"summarization":
    {"length_penalty": 1.0, "max_length": 128, "min_length": 12, "num_beams": 4}}, "torch_dtype": "float32",
    "use_cache": true, "vocab_size": 50265})",
                            R"({"d_model": 16, "decoder_attention_heads": 2, "decoder_ffn_dim": 32,
    "decoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 32, "encoder_layers": 2,
    "max_position_embeddings": 24, "num_hidden_layers": 2, "vocab_size": 60})");
  Layout layout({"bart-base", config, {}}, [](const std::string& tensor) { return "model." + tensor; });
  layout.add("shared.weight", {field(config, "vocab_size"), field(config, "d_model")});
  addBartStack(layout, config, "encoder");
  addBartStack(layout, config, "decoder");
  for (const char* copy : {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"}) {
    layout.copy(copy, "shared.weight");
  }
  return layout.done();
}

HubModel bertBaseUncased(HubSize size) {
  return bert("bert-base-uncased as edit encoder", bertConfig(size), false);
}
HubModel bertBaseUncasedClassifier(HubSize size) {
  const Json task = Json::parse(
      R"({"architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"},
      "label2id": {"LABEL_0": 0}})");
  return bert("bert-base-uncased with a one-logit head", changed(bertConfig(size), task), true);
}

HubModel distilgpt2(HubSize size) { return gpt2("distilgpt2", size, "", at::kFloat); }
HubModel distilgpt2WithHead(HubSize size) {
  return gpt2("distilgpt2 saved with its head", size, "transformer.", at::kByte);
}

HubModel distilbertBaseCased(HubSize size) {
  return distilbert("distilbert-base-cased as edit encoder", distilbertConfig(size), false);
}
HubModel distilbertBaseCasedClassifier(HubSize size) {
  const Json task = Json::parse(R"({"architectures": ["DistilBertForSequenceClassification"]})");
  return distilbert("distilbert-base-cased with a two-class head", changed(distilbertConfig(size), task),
                    true);
}

std::vector<HubModel> hubModels(HubSize size) {
  return {t5LargeSsmNq(size),        t5Small(size),
          t5SmallEncoder(size),      bartBase(size),
          bertBaseUncased(size),     bertBaseUncasedClassifier(size),
          distilgpt2(size),          distilgpt2WithHead(size),
          distilbertBaseCased(size), distilbertBaseCasedClassifier(size)};
}

at::Tensor hubValues(const HubModel& model, const HubTensor& tensor) {
  const std::string& source = tensor.sameAs.empty() ? tensor.name : tensor.sameAs;
  const at::Tensor values = at::empty(tensor.shape, at::kFloat);
  at::Generator generator = at::detail::createCPUGenerator(seedOf(model.name + source));
  if (tensor.shape.size() == 2) {
    values.normal_(0, 1 / std::sqrt(static_cast<double>(tensor.shape[1])), generator);
  } else {
    // Scales of norms, biases, masks.
    values.normal_(source.ends_with("weight") || source.ends_with("gamma") ? 1 : 0, 0.1, generator);
  }
  return values.to(tensor.type);
}

void writeHubFolder(const HubModel& model, const std::string& directory, HubFile file) {
  writeFileAtomic(directory + "/config.json", model.config.dump());
  TensorTable table;
  for (const HubTensor& tensor : model.tensors) {
    table.emplace(tensor.name, tensor.sameAs.empty() ? hubValues(model, tensor) : table.at(tensor.sameAs));
  }
  if (file == HubFile::Safetensors) {
    writeSafetensors(directory + "/model.safetensors", table, {{"format", "pt"}});
  } else {
    writeTorchFile(directory + "/pytorch_model.bin", table,
                   file == HubFile::TorchZip ? TorchFormat::Zip : TorchFormat::Legacy);
  }
}

Model expectHubFolderLoads(const HubModel& model, const std::string& directory) {
  SCOPED_TRACE(model.name);
  const Model loaded = model.asEncoder ? loadEncoder(directory, at::kCPU)
                                       : loadModel(directory, at::kCPU, {model.addPadToken});
  std::vector<std::string> names;
  for (const HubTensor& tensor : model.tensors) {
    if (tensor.loadedAs.empty()) continue;
    names.push_back(tensor.loadedAs);
    at::Tensor expected = hubValues(model, tensor);
    if (model.addPadToken && tensor.loadedAs.ends_with("wte.weight")) {
      expected = at::cat({expected, expected.mean(0, true)});
    }
    const at::Tensor* got = loaded.weights.find(tensor.loadedAs);
    EXPECT_TRUE(got != nullptr && at::equal(*got, expected)) << tensor.name << " as " << tensor.loadedAs;
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(loaded.weights.names(), names);
  return loaded;
}

}  // namespace seprog
