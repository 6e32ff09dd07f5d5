// B rows, S source columns, T target columns, P prompt rows, D hidden width, H heads, C channels per head, K
// key columns, N real positions of a stack's input packed row after row, R live rows while decoding, V
// vocabulary.
#include "bart.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "../error.h"
#include "../instrument/memory_role.h"
#include "../layers/activation.h"
#include "../layers/attention.h"
#include "../layers/attention_memory.h"
#include "../layers/decode_cache.h"
#include "../layers/layer_norm.h"
#include "../layers/linear.h"
#include "../layers/multi_head.h"
#include "../layers/narrow_linear.h"
#include "../layers/positions.h"
#include "../layers/ragged.h"
#include "../tensor/random.h"
#include "config_fields.h"
#include "encoded_rows.h"

namespace seprog {
namespace {

constexpr double kEpsilon = 1e-5;
// The first two rows of a position table are never used.
constexpr int64_t kPositionOffset = 2;
constexpr const char* kLogitsBias = "final_logits_bias";

struct BartConfig {
  int64_t width = 0;
  int64_t vocabulary = 0;
  int64_t positions = 0;
  int64_t encoderLayers = 0;
  int64_t decoderLayers = 0;
  int64_t encoderHeads = 0;
  int64_t decoderHeads = 0;
  int64_t encoderInner = 0;
  int64_t decoderInner = 0;
  int64_t padId = 0;
  int64_t startId = 0;
  int64_t stopId = 0;
  Activation activation = Activation::Gelu;
  double embeddingScale = 1;
  double deviation = 0.02;  // of fresh weights
  bool encoderOnly = false;
};

int64_t headsFrom(Options& options, const std::string& key, int64_t width) {
  const int64_t heads = integerFrom(options, key, 1);
  if (width % heads != 0) {
    fail(ErrorCode::ConfigInvalid, "expected a divisor of d_model " + std::to_string(width) +
                                       " for `config." + key + "` but received " + std::to_string(heads));
  }
  return heads;
}

BartConfig parseConfig(const Json& json) {
  Options options(json, "config");
  BartConfig config;
  config.width = integerFrom(options, "d_model", 1);
  config.vocabulary = integerFrom(options, "vocab_size", 1);
  config.positions = integerFrom(options, "max_position_embeddings", 1, 1024);
  config.encoderLayers = integerFrom(options, "encoder_layers", 1);
  config.decoderLayers = integerFrom(options, "decoder_layers", 1);
  config.encoderHeads = headsFrom(options, "encoder_attention_heads", config.width);
  config.decoderHeads = headsFrom(options, "decoder_attention_heads", config.width);
  config.encoderInner = integerFrom(options, "encoder_ffn_dim", 1);
  config.decoderInner = integerFrom(options, "decoder_ffn_dim", 1);
  config.padId = tokenFrom(options, "pad_token_id", config.vocabulary, 1);
  config.stopId = tokenFrom(options, "eos_token_id", config.vocabulary, 2);
  config.startId = tokenFrom(options, "decoder_start_token_id", config.vocabulary, config.stopId);
  config.activation = activationFrom(options, "activation_function", "gelu");
  if (options.boolean("scale_embedding", false)) {
    config.embeddingScale = std::sqrt(static_cast<double>(config.width));
  }
  config.deviation = options.number("init_std", config.deviation);
  config.encoderOnly = hasClass(json, "BartEncoder");
  for (const char* variant : {"normalize_before", "add_final_layer_norm", "static_position_embeddings"}) {
    if (!options.boolean(variant, false)) continue;
    fail(ErrorCode::Unsupported,
         "expected false for `config." + std::string(variant) + "` of a BART model but received true");
  }
  if (!options.boolean("tie_word_embeddings", true)) {
    fail(ErrorCode::Unsupported,
         "expected true for `config.tie_word_embeddings` of a BART model but received false");
  }
  return config;
}

/// Rows of the decoder stack that run through a pass, and what they see.
struct DecoderRows {
  RaggedLayout layout;
  at::Tensor causal;     // [1, 1, T, K]
  at::Tensor crossMask;  // [B, 1, 1, S], or undefined without padding
};

class Bart final : public Architecture {
 public:
  Bart(const Json& json, const BartConfig& config)
      : json_(json),
        config_(config),
        encoderAttention_(config.encoderHeads, {"q_proj", "k_proj", "v_proj", "out_proj"}),
        decoderAttention_(config.decoderHeads, {"q_proj", "k_proj", "v_proj", "out_proj"}) {}

  const std::string& family() const override {
    static const std::string name = "bart";
    return name;
  }
  const Json& config() const override { return json_; }
  int64_t hiddenWidth() const override { return config_.width; }
  int64_t embeddingWidth() const override { return config_.width; }
  int64_t vocabulary() const override { return config_.vocabulary; }
  int64_t padId() const override { return config_.padId; }
  int64_t startId() const override { return config_.startId; }
  int64_t stopId() const override { return config_.stopId; }
  const at::Tensor& embeddingTable(const Weights& weights) const override {
    return weights.at("model.shared.weight");
  }

  std::vector<std::pair<std::string, std::vector<int64_t>>> expectedWeights() const override;
  TensorTable initialise(uint64_t seed) const override;
  void normaliseNames(TensorTable& table) const override;
  std::vector<std::string> editableWeights() const override;

  Encoded encode(const Weights& weights, const TokenBatch& source, Taps* taps) const override;
  at::Tensor targetStates(const Weights& weights, const Encoded& encoded, const Targets& targets,
                          const Prompt& prompt, Taps* taps) const override;
  Head head(const Weights& weights) const override;
  std::unique_ptr<DecodeState> startDecode(const Weights& weights, const Encoded& encoded,
                                           const Prompt& prompt) const override;

 private:
  friend class BartDecodeState;

  at::Tensor embed(const Weights& weights, const at::Tensor& ids) const {
    const at::Tensor x = embedRows(weights.at("model.shared.weight"), ids);
    return config_.embeddingScale == 1 ? x : x * config_.embeddingScale;
  }
  at::Tensor positions(const Scope& stack, int64_t first, int64_t count, const char* what) const {
    demandPositions(first + count, config_.positions, what);
    return stack["embed_positions.weight"].narrow(0, kPositionOffset + first, count);
  }
  /// Position of the first token behind a prompt.
  static int64_t tokenOffset(const Prompt& prompt) {
    return prompt.positions == PromptPositions::Concat ? prompt.length() : 0;
  }
  at::Tensor promptRows(const Scope& decoder, const Prompt& prompt) const {
    if (prompt.positions == PromptPositions::Keep) return prompt.rows_BPD;
    return prompt.rows_BPD + positions(decoder, 0, prompt.length(), "target");
  }
  at::Tensor feedForward(const Scope& layer, const at::Tensor& x_ND) const {
    return layerNorm(
        layer, "final_layer_norm",
        x_ND + biasedLinear(layer, "fc2", activate(config_.activation, biasedLinear(layer, "fc1", x_ND))),
        kEpsilon);
  }
  PackedKeysValues selfMemory(const Scope& layer, const at::Tensor& x_ND) const {
    return decoderAttention_.packedKeysValues(layer / "self_attn", x_ND);
  }
  PackedKeysValues crossMemory(const Scope& decoder, int64_t layer, const EncodedRows& encoded) const {
    return decoderAttention_.packedKeysValues(decoder / "layers" / std::to_string(layer) / "encoder_attn",
                                              encoded.h_ND);
  }
  /// What a decoder layer does after its self-attention keys and values are known.
  template <typename Memory>
  at::Tensor finishLayer(const Scope& layer, const at::Tensor& x_ND, const Memory& self,
                         const Memory& cross) const;

  Json json_;
  BartConfig config_;
  MultiHead encoderAttention_;
  MultiHead decoderAttention_;
};

std::vector<std::pair<std::string, std::vector<int64_t>>> Bart::expectedWeights() const {
  const int64_t width = config_.width;
  std::vector<std::pair<std::string, std::vector<int64_t>>> all;
  const auto linear = [&](const std::string& name, int64_t out, int64_t in) {
    all.push_back({name + ".weight", {out, in}});
    all.push_back({name + ".bias", {out}});
  };
  const auto norm = [&](const std::string& name) {
    all.push_back({name + ".weight", {width}});
    all.push_back({name + ".bias", {width}});
  };
  const auto attention = [&](const std::string& layer, const std::string& kind) {
    for (const char* name : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
      linear(layer + kind + "." + name, width, width);
    }
    norm(layer + kind + "_layer_norm");
  };
  const auto stack = [&](const std::string& name, int64_t layers, int64_t inner, bool decoder) {
    all.push_back({name + ".embed_positions.weight", {config_.positions + kPositionOffset, width}});
    norm(name + ".layernorm_embedding");
    for (int64_t i = 0; i < layers; ++i) {
      const std::string layer = name + ".layers." + std::to_string(i) + ".";
      attention(layer, "self_attn");
      if (decoder) attention(layer, "encoder_attn");
      linear(layer + "fc1", inner, width);
      linear(layer + "fc2", width, inner);
      norm(layer + "final_layer_norm");
    }
  };
  all.push_back({"model.shared.weight", {config_.vocabulary, width}});
  stack("model.encoder", config_.encoderLayers, config_.encoderInner, false);
  if (!config_.encoderOnly) stack("model.decoder", config_.decoderLayers, config_.decoderInner, true);
  return all;
}

TensorTable Bart::initialise(uint64_t seed) const {
  TensorTable table;
  for (const auto& [name, shape] : expectedWeights()) {
    const bool norm =
        name.find("layer_norm.") != std::string::npos || name.find("layernorm_") != std::string::npos;
    if (name.ends_with(".bias")) {
      table.emplace(name, at::zeros(shape, at::kFloat));
    } else if (norm) {
      table.emplace(name, at::ones(shape, at::kFloat));
    } else {
      table.emplace(name, Random(seed, name).normalTensor(shape, 0, config_.deviation));
    }
  }
  table.at("model.shared.weight")[config_.padId].zero_();
  return table;
}

void Bart::normaliseNames(TensorTable& table) const {
  TensorTable named;
  for (auto& [name, tensor] : table) {
    const bool bare =
        name.starts_with("encoder.") || name.starts_with("decoder.") || name.starts_with("shared.");
    named.emplace(bare ? "model." + name : name, tensor);
  }
  for (const char* copy : {"model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"}) {
    const auto found = named.find(copy);
    if (found != named.end()) named.emplace("model.shared.weight", found->second);
  }
  table = std::move(named);
  keepKnown(table,
            config_.encoderOnly ? std::set<std::string_view>{} : std::set<std::string_view>{kLogitsBias});
  const auto bias = table.find(kLogitsBias);
  if (bias == table.end()) return;
  if (bias->second.numel() != config_.vocabulary) {
    fail(ErrorCode::ShapeMismatch, "expected " + std::to_string(config_.vocabulary) +
                                       " numbers for `final_logits_bias` but received " +
                                       std::to_string(bias->second.numel()));
  }
  if (bias->second.count_nonzero().item<int64_t>() == 0) table.erase(bias);
}

std::vector<std::string> Bart::editableWeights() const {
  std::vector<std::string> names;
  const auto stack = [&](const std::string& name, int64_t layers) {
    for (int64_t i = std::max<int64_t>(layers - 2, 0); i < layers; ++i) {
      for (const char* matrix : {"fc1", "fc2"}) {
        names.push_back(name + ".layers." + std::to_string(i) + "." + matrix + ".weight");
      }
    }
  };
  stack("model.encoder", config_.encoderLayers);
  if (!config_.encoderOnly) stack("model.decoder", config_.decoderLayers);
  return names;
}

Encoded Bart::encode(const Weights& weights, const TokenBatch& source, Taps* taps) const {
  const Scope encoder = Scope(weights, taps) / "model" / "encoder";
  const RaggedLayout layout(source.lengths, source.columns(), source.ids_BS.device());
  const at::Tensor mask = paddingMask(source);

  const at::Tensor x_BSD = embed(weights, source.ids_BS) + positions(encoder, 0, source.columns(), "source");
  at::Tensor x_ND =
      layerNorm(encoder, "layernorm_embedding", layout.pack(x_BSD.reshape({-1, config_.width})), kEpsilon);
  for (int64_t i = 0; i < config_.encoderLayers; ++i) {
    const Scope layer = encoder / "layers" / std::to_string(i);
    const Scope self = layer / "self_attn";
    const KeysValues seen = encoderAttention_.keysValues(self, x_ND, layout);
    x_ND = layerNorm(layer, "self_attn_layer_norm",
                     x_ND + encoderAttention_.attention(self, x_ND, layout, seen, mask), kEpsilon);
    x_ND = feedForward(layer, x_ND);
  }
  return {source, layout.unpack(x_ND).view({source.rows(), source.columns(), config_.width})};
}

template <typename Memory>
at::Tensor Bart::finishLayer(const Scope& layer, const at::Tensor& x_ND, const Memory& self,
                             const Memory& cross) const {
  const at::Tensor first_ND =
      layerNorm(layer, "self_attn_layer_norm",
                x_ND + decoderAttention_.attention(layer / "self_attn", x_ND, self), kEpsilon);
  const at::Tensor second_ND =
      layerNorm(layer, "encoder_attn_layer_norm",
                first_ND + decoderAttention_.attention(layer / "encoder_attn", first_ND, cross), kEpsilon);
  return feedForward(layer, second_ND);
}

at::Tensor Bart::targetStates(const Weights& weights, const Encoded& encoded, const Targets& targets,
                              const Prompt& prompt, Taps* taps) const {
  const Scope decoder = Scope(weights, taps) / "model" / "decoder";
  const at::Device device = encoded.h_BSD.device();
  const int64_t rows = targets.tokens.rows();
  const int64_t columns = targets.tokens.columns();
  const int64_t prompts = prompt.length();

  const at::Tensor start_B1 = at::full({rows, 1}, config_.startId, targets.tokens.ids_BS.options());
  const at::Tensor input_BT = at::cat({start_B1, targets.tokens.ids_BS.narrow(1, 0, columns - 1)}, 1);
  at::Tensor x_BTD = embed(weights, input_BT) + positions(decoder, tokenOffset(prompt), columns, "target");
  if (prompts > 0) x_BTD = at::cat({promptRows(decoder, prompt), x_BTD}, 1);

  std::vector<int64_t> lengths(targets.tokens.lengths);
  for (int64_t& length : lengths) length += prompts;
  const int64_t all = prompts + columns;
  DecoderRows pass{RaggedLayout(lengths, all, device), causalMask(0, all, all, device),
                   paddingMask(encoded.source)};
  at::Tensor x_ND = layerNorm(decoder, "layernorm_embedding",
                              pass.layout.pack(x_BTD.reshape({rows * all, config_.width})), kEpsilon);
  const EncodedRows memory(encoded);

  for (int64_t i = 0; i < config_.decoderLayers; ++i) {
    const Scope layer = decoder / "layers" / std::to_string(i);
    const KeysValues self = selfMemory(layer, x_ND).onGrid(pass.layout, config_.decoderHeads);
    const KeysValues cross = crossMemory(decoder, i, memory).onGrid(memory.layout, config_.decoderHeads);
    if (i + 1 == config_.decoderLayers && prompts > 0) {
      // No later layer reads the prompt rows: behind the last keys and values only target rows go on.
      x_ND = x_ND.index_select(0, pass.layout.from(std::vector<int64_t>(rows, prompts), device));
      pass = DecoderRows{RaggedLayout(targets.tokens.lengths, columns, device),
                         pass.causal.narrow(2, prompts, columns), pass.crossMask};
    }
    x_ND = finishLayer(layer, x_ND, GridMemory{pass.layout, self, pass.causal},
                       GridMemory{pass.layout, cross, pass.crossMask});
  }
  return x_ND;
}

Head Bart::head(const Weights& weights) const {
  const at::Tensor* bias = weights.find(kLogitsBias);
  // A constant of the checkpoint, never trained.
  return {weights.at("model.shared.weight"), 1,
          bias == nullptr ? at::Tensor() : bias->detach().reshape({config_.vocabulary})};
}

class BartDecodeState final : public DecodeState {
 public:
  BartDecodeState(const Bart& model, const Weights& weights, const Encoded& encoded, const Prompt& prompt)
      : model_(model),
        weights_(weights),
        head_(model.head(weights_)),
        rows_(encoded.source.rows()),
        device_(encoded.h_BSD.device()),
        position_(Bart::tokenOffset(prompt)),
        crossSpans_(Spans::packed(encoded.source.lengths, device_)),
        cache_(model.config_.decoderLayers, rows_, device_) {
    const EncodedRows memory(encoded);
    for (int64_t i = 0; i < model_.config_.decoderLayers; ++i) {
      const RoleScope role(MemoryRole::KvCache);
      cross_.push_back(model_.crossMemory(decoder(), i, memory));
    }
    if (prompt.length() > 0) readPrompt(prompt, memory.layout, paddingMask(encoded.source));
  }

  at::Tensor first() override {
    return next(at::full({rows_}, model_.startId(), at::TensorOptions(at::kLong).device(device_)));
  }

  at::Tensor next(const at::Tensor& ids_R) override {
    at::Tensor x_RD =
        normed(model_.embed(weights_, ids_R) + model_.positions(decoder(), position_++, 1, "target"));
    cache_.extend(std::vector<int64_t>(ids_R.size(0), 1));
    for (int64_t i = 0; i < model_.config_.decoderLayers; ++i) {
      const Scope layer = decoder() / "layers" / std::to_string(i);
      cache_.append(i, model_.selfMemory(layer, x_RD));
      x_RD = model_.finishLayer(layer, x_RD, cache_.memory(i), SpanMemory{cross_[i], crossSpans_});
    }
    return applyHead(head_, x_RD);
  }

  void keep(const at::Tensor& rows_S) override {
    cache_.keep(rows_S);
    crossSpans_ = crossSpans_.select(rows_S);
  }

 private:
  Scope decoder() const { return Scope(weights_) / "model" / "decoder"; }
  at::Tensor normed(const at::Tensor& x_ND) const {
    return layerNorm(decoder(), "layernorm_embedding", x_ND, kEpsilon);
  }

  /// Fills the caches; nothing is read behind the last keys and values.
  void readPrompt(const Prompt& prompt, const RaggedLayout& source, const at::Tensor& crossMask) {
    const int64_t columns = prompt.length();
    const int64_t heads = model_.config_.decoderHeads;
    const RaggedLayout layout(std::vector<int64_t>(rows_, columns), columns, device_);
    const at::Tensor causal = causalMask(0, columns, columns, device_);
    cache_.extend(std::vector<int64_t>(rows_, columns));
    at::Tensor x_ND = normed(model_.promptRows(decoder(), prompt).reshape({-1, model_.config_.width}));
    for (int64_t i = 0; i < model_.config_.decoderLayers; ++i) {
      const Scope layer = decoder() / "layers" / std::to_string(i);
      const PackedKeysValues fresh = model_.selfMemory(layer, x_ND);
      cache_.append(i, fresh);
      if (i + 1 == model_.config_.decoderLayers) return;
      x_ND = model_.finishLayer(layer, x_ND, GridMemory{layout, fresh.onGrid(layout, heads), causal},
                                GridMemory{layout, cross_[i].onGrid(source, heads), crossMask});
    }
  }

  const Bart& model_;
  Weights weights_;
  Head head_;
  int64_t rows_;  // before any is dropped
  at::Device device_;
  int64_t position_;  // of the next token
  std::vector<PackedKeysValues> cross_;
  Spans crossSpans_;
  DecodeCache cache_;
};

std::unique_ptr<DecodeState> Bart::startDecode(const Weights& weights, const Encoded& encoded,
                                               const Prompt& prompt) const {
  return std::make_unique<BartDecodeState>(*this, weights, encoded, prompt);
}

}  // namespace

std::shared_ptr<const Architecture> makeBart(const Json& config) {
  return std::make_shared<Bart>(config, parseConfig(config));
}

}  // namespace seprog
