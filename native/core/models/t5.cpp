// B rows, S source columns, T target columns, P prompt rows, D hidden width, H heads, C channels per head, K
// key columns, N real positions of a stack's input packed row after row, R live rows while decoding, V
// vocabulary.
#include "t5.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>

#include <cmath>

#include "../error.h"
#include "../instrument/memory_role.h"
#include "../layers/attention.h"
#include "../layers/attention_memory.h"
#include "../layers/decode_cache.h"
#include "../layers/feed_forward.h"
#include "../layers/linear.h"
#include "../layers/narrow_linear.h"
#include "../layers/ragged.h"
#include "../layers/relative_bias.h"
#include "../layers/rms_norm.h"
#include "../tensor/random.h"
#include "config_fields.h"
#include "encoded_rows.h"

namespace seprog {
namespace {

struct T5Config {
  int64_t width = 0;
  int64_t innerWidth = 0;
  int64_t heads = 0;
  int64_t headWidth = 0;
  int64_t encoderBlocks = 0;
  int64_t decoderBlocks = 0;
  int64_t vocabulary = 0;
  int64_t padId = 0;
  int64_t startId = 0;
  int64_t stopId = 0;
  int64_t buckets = 0;
  int64_t maxDistance = 0;
  double epsilon = 0;
  FeedForwardKind feedForward = FeedForwardKind::Relu;
  bool encoderOnly = false;
  bool untied = false;     // the file must hold a head of its own
  bool scaleHead = false;  // hidden states times D^(−1/2) in front of the head
};

T5Config parseConfig(const Json& json) {
  Options options(json, "config");
  T5Config config;
  config.width = integerFrom(options, "d_model", 1);
  config.headWidth = integerFrom(options, "d_kv", 1);
  config.innerWidth = integerFrom(options, "d_ff", 1);
  config.heads = integerFrom(options, "num_heads", 1);
  config.encoderBlocks = integerFrom(options, "num_layers", 1);
  config.decoderBlocks = integerFrom(options, "num_decoder_layers", 1, config.encoderBlocks);
  config.vocabulary = integerFrom(options, "vocab_size", 1);
  config.padId = tokenFrom(options, "pad_token_id", config.vocabulary, 0);
  config.startId = tokenFrom(options, "decoder_start_token_id", config.vocabulary, config.padId);
  config.stopId = tokenFrom(options, "eos_token_id", config.vocabulary, 1);
  config.buckets = integerFrom(options, "relative_attention_num_buckets", 4, 32);
  config.maxDistance = integerFrom(options, "relative_attention_max_distance", config.buckets / 2 + 1, 128);
  config.epsilon = options.number("layer_norm_epsilon", 1e-6);
  const std::string kind = options.string("feed_forward_proj", "relu");
  if (kind != "relu" && kind != "gated-gelu") {
    fail(ErrorCode::Unsupported,
         "expected \"relu\" or \"gated-gelu\" for `config.feed_forward_proj` but received \"" + kind + "\"");
  }
  config.feedForward = kind == "relu" ? FeedForwardKind::Relu : FeedForwardKind::GatedGelu;
  const bool tied = options.boolean("tie_word_embeddings", true);
  config.scaleHead = options.boolean("scale_decoder_outputs", tied);
  config.untied = !tied && !options.has("scale_decoder_outputs");
  config.encoderOnly = hasClass(json, "T5EncoderModel");
  return config;
}

Scope blockScope(const Scope& stack, int64_t index) {
  return stack / "block" / std::to_string(index) / "layer";
}

void demandConcat(const Prompt& prompt) {
  if (prompt.length() == 0 || prompt.positions == PromptPositions::Concat) return;
  fail(ErrorCode::Unsupported,
       "expected \"concat\" for `promptPositions` of a T5 model but received \"keep\"; T5 has no position "
       "vectors that tokens could keep");
}

/// Rows of the decoder stack that run through a pass, and what they see.
struct DecoderRows {
  RaggedLayout layout;
  at::Tensor selfBias;   // [1, H, T, K]: relative bias and causal mask
  at::Tensor crossMask;  // [B, 1, 1, S], or undefined without padding
};

class T5 final : public Architecture {
 public:
  T5(const Json& json, const T5Config& config) : json_(json), config_(config) {}

  const std::string& family() const override {
    static const std::string name = "t5";
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
    return weights.at("shared.weight");
  }

  std::vector<std::pair<std::string, std::vector<int64_t>>> expectedWeights() const override;
  TensorTable initialise(uint64_t seed) const override;
  void normaliseNames(TensorTable& table) const override;
  std::vector<std::string> editableWeights() const override;
  /// What the feed-forward layers give leaves fp16's range in the published weights, so their last products stay fp32.
  Narrowing narrowing(std::string_view name, BaseDtype dtype) const override {
    if (dtype == BaseDtype::Fp16 && name.ends_with("DenseReluDense.wo.weight")) return Narrowing::None;
    return Architecture::narrowing(name, dtype);
  }

  Encoded encode(const Weights& weights, const TokenBatch& source, Taps* taps) const override;
  at::Tensor targetStates(const Weights& weights, const Encoded& encoded, const Targets& targets,
                          const Prompt& prompt, Taps* taps) const override;
  Head head(const Weights& weights) const override;
  std::unique_ptr<DecodeState> startDecode(const Weights& weights, const Encoded& encoded,
                                           const Prompt& prompt) const override;

 private:
  friend class T5DecodeState;

  at::Tensor embed(const Weights& weights, const at::Tensor& ids) const {
    return embedRows(weights.at("shared.weight"), ids);
  }
  at::Tensor norm(const Scope& layer, const at::Tensor& x_ND) const {
    return rmsNorm(x_ND, layer["layer_norm.weight"], config_.epsilon);
  }
  PackedKeysValues packedKeysValues(const Scope& attention, const at::Tensor& x_ND) const {
    return {linear(attention, "k.weight", x_ND), linear(attention, "v.weight", x_ND)};
  }
  KeysValues keysValues(const Scope& attention, const at::Tensor& x_ND, const RaggedLayout& layout) const {
    return packedKeysValues(attention, x_ND).onGrid(layout, config_.heads);
  }
  /// `memory`: a GridMemory or a SpanMemory.
  template <typename Memory>
  at::Tensor attention(const Scope& attention, const at::Tensor& x_ND, const Memory& memory) const {
    return linear(attention, "o.weight",
                  readMemory(linear(attention, "q.weight", x_ND), config_.heads, 1, memory));
  }
  RelativeBuckets bucketsOf(bool bidirectional) const {
    return {config_.buckets, config_.maxDistance, bidirectional};
  }

  /// [1, H, Q, K]
  at::Tensor selfBias(const Scope& decoder, int64_t firstQuery, int64_t queries, int64_t keys) const;
  /// The same over all positions, with a causal mask.
  at::Tensor decoderBias(const Scope& decoder, int64_t positions) const;
  PackedKeysValues crossMemory(const Scope& decoder, int64_t block, const EncodedRows& encoded) const {
    return packedKeysValues(blockScope(decoder, block) / "1" / "EncDecAttention", encoded.h_ND);
  }
  /// What a decoder block does after its self-attention keys and values are known.
  template <typename Memory>
  at::Tensor finishBlock(const Scope& block, const at::Tensor& x_ND, const at::Tensor& normed_ND,
                         const Memory& self, const Memory& cross) const;

  Json json_;
  T5Config config_;
};

std::vector<std::pair<std::string, std::vector<int64_t>>> T5::expectedWeights() const {
  const int64_t width = config_.width;
  const int64_t inner = config_.heads * config_.headWidth;
  std::vector<std::pair<std::string, std::vector<int64_t>>> all;
  all.push_back({"shared.weight", {config_.vocabulary, width}});
  const auto attention = [&](const std::string& layer, const std::string& kind) {
    for (const char* name : {"q", "k", "v"})
      all.push_back({layer + kind + "." + name + ".weight", {inner, width}});
    all.push_back({layer + kind + ".o.weight", {width, inner}});
    all.push_back({layer + "layer_norm.weight", {width}});
  };
  const auto stack = [&](const std::string& name, int64_t blocks, bool decoder) {
    for (int64_t i = 0; i < blocks; ++i) {
      const std::string block = name + ".block." + std::to_string(i) + ".layer.";
      attention(block + "0.", "SelfAttention");
      if (i == 0) {
        all.push_back(
            {block + "0.SelfAttention.relative_attention_bias.weight", {config_.buckets, config_.heads}});
      }
      if (decoder) attention(block + "1.", "EncDecAttention");
      const std::string layer = block + (decoder ? "2." : "1.");
      const bool gated = config_.feedForward == FeedForwardKind::GatedGelu;
      for (const char* wi :
           gated ? std::vector<const char*>{"wi_0", "wi_1"} : std::vector<const char*>{"wi"}) {
        all.push_back({layer + "DenseReluDense." + wi + ".weight", {config_.innerWidth, width}});
      }
      all.push_back({layer + "DenseReluDense.wo.weight", {width, config_.innerWidth}});
      all.push_back({layer + "layer_norm.weight", {width}});
    }
    all.push_back({name + ".final_layer_norm.weight", {width}});
  };
  stack("encoder", config_.encoderBlocks, false);
  if (config_.encoderOnly) return all;
  stack("decoder", config_.decoderBlocks, true);
  if (config_.untied) all.push_back({"lm_head.weight", {config_.vocabulary, width}});
  return all;
}

TensorTable T5::initialise(uint64_t seed) const {
  const auto endsWith = [](const std::string& name, std::string_view tail) {
    return name.size() >= tail.size() && name.compare(name.size() - tail.size(), tail.size(), tail) == 0;
  };
  const auto width = static_cast<double>(config_.width);
  TensorTable table;
  for (const auto& [name, shape] : expectedWeights()) {
    if (endsWith(name, "layer_norm.weight")) {
      table.emplace(name, at::ones(shape, at::kFloat));
      continue;
    }
    double deviation = 1 / std::sqrt(width);
    if (name == "shared.weight" || name == "lm_head.weight") {
      deviation = 1;
    } else if (endsWith(name, ".q.weight")) {
      deviation = 1 / std::sqrt(width * static_cast<double>(config_.headWidth));
    } else if (endsWith(name, ".o.weight")) {
      deviation = 1 / std::sqrt(static_cast<double>(config_.heads * config_.headWidth));
    } else if (endsWith(name, ".wo.weight")) {
      deviation = 1 / std::sqrt(static_cast<double>(config_.innerWidth));
    }
    table.emplace(name, Random(seed, name).normalTensor(shape, 0, deviation));
  }
  return table;
}

void T5::normaliseNames(TensorTable& table) const {
  for (const char* copy : {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"}) {
    const auto found = table.find(copy);
    if (found == table.end()) continue;
    table.emplace("shared.weight", found->second);
    table.erase(found);
  }
  if (config_.encoderOnly) return keepKnown(table);
  // An untied head shows by its values: files of the tied version may hold a copy of the table.
  const auto head = table.find("lm_head.weight");
  const auto shared = table.find("shared.weight");
  if (head != table.end() && shared != table.end() && !config_.untied) {
    if (head->second.sizes() != shared->second.sizes()) {
      fail(ErrorCode::ShapeMismatch,
           "expected the shape of `shared.weight` for `lm_head.weight` but received another");
    }
    if (at::equal(head->second, shared->second)) table.erase(head);
  }
  keepKnown(table, {"lm_head.weight"});
}

std::vector<std::string> T5::editableWeights() const {
  const char* first = config_.feedForward == FeedForwardKind::GatedGelu ? "wi_0" : "wi";
  std::vector<std::string> names;
  const auto stack = [&](const std::string& name, int64_t blocks, const std::string& layer) {
    for (int64_t i = std::max<int64_t>(blocks - 2, 0); i < blocks; ++i) {
      for (const char* matrix : {first, "wo"}) {
        names.push_back(name + ".block." + std::to_string(i) + ".layer." + layer + ".DenseReluDense." +
                        matrix + ".weight");
      }
    }
  };
  stack("encoder", config_.encoderBlocks, "1");
  if (!config_.encoderOnly) stack("decoder", config_.decoderBlocks, "2");
  return names;
}

Encoded T5::encode(const Weights& weights, const TokenBatch& source, Taps* taps) const {
  const Scope encoder = Scope(weights, taps) / "encoder";
  const RaggedLayout layout(source.lengths, source.columns(), source.ids_BS.device());
  at::Tensor bias =
      relativeBias(bucketsOf(true), encoder["block.0.layer.0.SelfAttention.relative_attention_bias.weight"],
                   0, source.columns(), source.columns());
  if (!source.fullyReal) bias = bias + keyMask(source.mask_BS);

  at::Tensor x_ND = embed(weights, layout.pack(source.ids_BS.reshape({-1})));
  for (int64_t i = 0; i < config_.encoderBlocks; ++i) {
    const Scope block = blockScope(encoder, i);
    const Scope self = block / "0" / "SelfAttention";
    const at::Tensor normed_ND = norm(block / "0", x_ND);
    x_ND = x_ND + attention(self, normed_ND, GridMemory{layout, keysValues(self, normed_ND, layout), bias});
    const Scope last = block / "1";
    x_ND = x_ND + feedForward(last / "DenseReluDense", config_.feedForward, norm(last, x_ND));
  }
  x_ND = rmsNorm(x_ND, encoder["final_layer_norm.weight"], config_.epsilon);
  return {source, layout.unpack(x_ND).view({source.rows(), source.columns(), config_.width})};
}

at::Tensor T5::selfBias(const Scope& decoder, int64_t firstQuery, int64_t queries, int64_t keys) const {
  return relativeBias(bucketsOf(false),
                      decoder["block.0.layer.0.SelfAttention.relative_attention_bias.weight"], firstQuery,
                      queries, keys);
}

at::Tensor T5::decoderBias(const Scope& decoder, int64_t positions) const {
  const at::Tensor bias = selfBias(decoder, 0, positions, positions);
  return bias + causalMask(0, positions, positions, bias.device());
}

template <typename Memory>
at::Tensor T5::finishBlock(const Scope& block, const at::Tensor& x_ND, const at::Tensor& normed_ND,
                           const Memory& self, const Memory& cross) const {
  at::Tensor out_ND = x_ND + attention(block / "0" / "SelfAttention", normed_ND, self);
  const Scope second = block / "1";
  out_ND = out_ND + attention(second / "EncDecAttention", norm(second, out_ND), cross);
  const Scope third = block / "2";
  return out_ND + feedForward(third / "DenseReluDense", config_.feedForward, norm(third, out_ND));
}

at::Tensor T5::targetStates(const Weights& weights, const Encoded& encoded, const Targets& targets,
                            const Prompt& prompt, Taps* taps) const {
  demandConcat(prompt);
  const Scope decoder = Scope(weights, taps) / "decoder";
  const at::Device device = encoded.h_BSD.device();
  const int64_t rows = targets.tokens.rows();
  const int64_t columns = targets.tokens.columns();
  const int64_t prompts = prompt.length();
  const int64_t positions = prompts + columns;

  const at::Tensor start_B1 = at::full({rows, 1}, config_.startId, targets.tokens.ids_BS.options());
  const at::Tensor input_BT = at::cat({start_B1, targets.tokens.ids_BS.narrow(1, 0, columns - 1)}, 1);
  at::Tensor x_BTD = embed(weights, input_BT);
  if (prompts > 0) x_BTD = at::cat({prompt.rows_BPD, x_BTD}, 1);

  std::vector<int64_t> lengths(targets.tokens.lengths);
  for (int64_t& length : lengths) length += prompts;
  DecoderRows all{RaggedLayout(lengths, positions, device), decoderBias(decoder, positions),
                  paddingMask(encoded.source)};
  at::Tensor x_ND = all.layout.pack(x_BTD.reshape({rows * positions, config_.width}));
  const EncodedRows memory(encoded);

  for (int64_t i = 0; i < config_.decoderBlocks; ++i) {
    const Scope block = blockScope(decoder, i);
    at::Tensor normed_ND = norm(block / "0", x_ND);
    const KeysValues self = keysValues(block / "0" / "SelfAttention", normed_ND, all.layout);
    const KeysValues cross = crossMemory(decoder, i, memory).onGrid(memory.layout, config_.heads);
    if (i + 1 == config_.decoderBlocks && prompts > 0) {
      // No later layer reads the prompt rows: behind the last keys and values only target rows go on.
      const at::Tensor kept_N = all.layout.from(std::vector<int64_t>(rows, prompts), device);
      x_ND = x_ND.index_select(0, kept_N);
      normed_ND = normed_ND.index_select(0, kept_N);
      all = DecoderRows{RaggedLayout(targets.tokens.lengths, columns, device),
                        all.selfBias.narrow(2, prompts, columns), all.crossMask};
    }
    x_ND = finishBlock(block, x_ND, normed_ND, GridMemory{all.layout, self, all.selfBias},
                       GridMemory{all.layout, cross, all.crossMask});
  }
  return rmsNorm(x_ND, decoder["final_layer_norm.weight"], config_.epsilon);
}

Head T5::head(const Weights& weights) const {
  const at::Tensor* own = weights.find("lm_head.weight");
  return {own != nullptr ? *own : weights.at("shared.weight"),
          config_.scaleHead ? 1 / std::sqrt(static_cast<double>(config_.width)) : 1.0, at::Tensor()};
}

class T5DecodeState final : public DecodeState {
 public:
  T5DecodeState(const T5& model, const Weights& weights, const Encoded& encoded, const Prompt& prompt)
      : model_(model),
        weights_(weights),
        head_(model.head(weights_)),
        rows_(encoded.source.rows()),
        device_(encoded.h_BSD.device()),
        crossSpans_(Spans::packed(encoded.source.lengths, device_)),
        cache_(model.config_.decoderBlocks, rows_, device_) {
    const EncodedRows memory(encoded);
    for (int64_t i = 0; i < model_.config_.decoderBlocks; ++i) {
      const RoleScope role(MemoryRole::KvCache);
      cross_.push_back(model_.crossMemory(decoder(), i, memory));
    }
    if (prompt.length() > 0) readPrompt(prompt, memory.layout, paddingMask(encoded.source));
  }

  at::Tensor first() override {
    return next(at::full({rows_}, model_.startId(), at::TensorOptions(at::kLong).device(device_)));
  }

  at::Tensor next(const at::Tensor& ids_R) override {
    const int64_t position = cache_.longest();
    cache_.extend(std::vector<int64_t>(ids_R.size(0), 1));
    const at::Tensor bias_HT = model_.selfBias(decoder(), position, 1, position + 1).flatten(0, 2);
    at::Tensor x_RD = model_.embed(weights_, ids_R);
    for (int64_t i = 0; i < model_.config_.decoderBlocks; ++i) {
      const Scope block = blockScope(decoder(), i);
      const at::Tensor normed_RD = model_.norm(block / "0", x_RD);
      cache_.append(i, model_.packedKeysValues(block / "0" / "SelfAttention", normed_RD));
      x_RD = model_.finishBlock(block, x_RD, normed_RD, cache_.memory(i, bias_HT),
                                SpanMemory{cross_[i], crossSpans_});
    }
    return applyHead(head_, rmsNorm(x_RD, decoder()["final_layer_norm.weight"], model_.config_.epsilon));
  }

  void keep(const at::Tensor& rows_S) override {
    cache_.keep(rows_S);
    crossSpans_ = crossSpans_.select(rows_S);
  }

 private:
  Scope decoder() const { return Scope(weights_) / "decoder"; }

  /// Fills the caches; nothing is read behind the last keys and values.
  void readPrompt(const Prompt& prompt, const RaggedLayout& source, const at::Tensor& crossMask) {
    const int64_t columns = prompt.length();
    const int64_t heads = model_.config_.heads;
    const RaggedLayout layout(std::vector<int64_t>(rows_, columns), columns, device_);
    const at::Tensor bias = model_.decoderBias(decoder(), columns);
    cache_.extend(std::vector<int64_t>(rows_, columns));
    at::Tensor x_ND = prompt.rows_BPD.reshape({-1, model_.config_.width});
    for (int64_t i = 0; i < model_.config_.decoderBlocks; ++i) {
      const Scope block = blockScope(decoder(), i);
      const at::Tensor normed_ND = model_.norm(block / "0", x_ND);
      const PackedKeysValues fresh = model_.packedKeysValues(block / "0" / "SelfAttention", normed_ND);
      cache_.append(i, fresh);
      if (i + 1 == model_.config_.decoderBlocks) return;
      x_ND = model_.finishBlock(block, x_ND, normed_ND, GridMemory{layout, fresh.onGrid(layout, heads), bias},
                                GridMemory{layout, cross_[i].onGrid(source, heads), crossMask});
    }
  }

  const T5& model_;
  Weights weights_;
  Head head_;
  int64_t rows_;  // before any is dropped
  at::Device device_;
  std::vector<PackedKeysValues> cross_;
  Spans crossSpans_;
  DecodeCache cache_;
};

std::unique_ptr<DecodeState> T5::startDecode(const Weights& weights, const Encoded& encoded,
                                             const Prompt& prompt) const {
  demandConcat(prompt);
  return std::make_unique<T5DecodeState>(*this, weights, encoded, prompt);
}

}  // namespace

std::shared_ptr<const Architecture> makeT5(const Json& config) {
  return std::make_shared<T5>(config, parseConfig(config));
}

}  // namespace seprog
