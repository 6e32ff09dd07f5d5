// B rows, S source columns, P prompt rows, T = P + S, D hidden width, N real positions packed row after row, C
// classes.
#include "distilbert.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "../error.h"
#include "../layers/activation.h"
#include "../layers/attention.h"
#include "../layers/layer_norm.h"
#include "../layers/linear.h"
#include "../layers/multi_head.h"
#include "../layers/narrow_linear.h"
#include "../layers/ragged.h"
#include "../options.h"
#include "../tensor/random.h"
#include "classifier.h"
#include "config_fields.h"

namespace seprog {
namespace {

struct DistilBertConfig {
  int64_t width = 0;
  int64_t innerWidth = 0;
  int64_t heads = 0;
  int64_t layers = 0;
  int64_t vocabulary = 0;
  int64_t positions = 0;
  int64_t logits = 0;
  int64_t padId = 0;
  int64_t startId = 0;
  int64_t stopId = 0;
  double initialDeviation = 0;
  bool encoderOnly = false;  // no head
};
constexpr double kEpsilon = 1e-12;

DistilBertConfig parseConfig(const Json& json) {
  Options options(json, "config");
  DistilBertConfig config;
  config.width = integerFrom(options, "dim", 1);
  config.innerWidth = integerFrom(options, "hidden_dim", 1);
  config.heads = integerFrom(options, "n_heads", 1);
  config.layers = integerFrom(options, "n_layers", 1);
  config.vocabulary = integerFrom(options, "vocab_size", 1);
  config.positions = integerFrom(options, "max_position_embeddings", 1);
  config.logits = logitsFrom(options);
  config.padId = tokenFrom(options, "pad_token_id", config.vocabulary, 0);
  const SpecialIds specials = specialsFrom(options, config.vocabulary, config.padId);
  config.startId = specials.cls;
  config.stopId = specials.sep;
  config.initialDeviation = options.number("initializer_range", 0.02);
  config.encoderOnly = hasClass(json, "DistilBertModel");
  if (config.width % config.heads != 0) {
    fail(ErrorCode::ConfigInvalid, "expected a multiple of n_heads " + std::to_string(config.heads) +
                                       " for `config.dim` but received " + std::to_string(config.width));
  }
  if (const std::string kind = options.string("activation", "gelu"); kind != "gelu") {
    fail(ErrorCode::Unsupported, "expected \"gelu\" for `config.activation` but received \"" + kind + "\"");
  }
  return config;
}

class DistilBert final : public Architecture {
 public:
  DistilBert(const Json& json, const DistilBertConfig& config)
      : json_(json), config_(config), attention_(config.heads, {"q_lin", "k_lin", "v_lin", "out_lin"}) {}

  const std::string& family() const override {
    static const std::string name = "distilbert";
    return name;
  }
  const Json& config() const override { return json_; }
  int64_t hiddenWidth() const override { return config_.width; }
  int64_t embeddingWidth() const override { return config_.width; }
  int64_t vocabulary() const override { return config_.vocabulary; }
  AnswerKind answerKind() const override { return AnswerKind::Label; }
  int64_t targetVocabulary() const override { return classesOf(config_.logits); }
  int64_t padId() const override { return config_.padId; }
  int64_t startId() const override { return config_.startId; }
  int64_t stopId() const override { return config_.stopId; }
  const at::Tensor& embeddingTable(const Weights& weights) const override {
    return weights.at("distilbert.embeddings.word_embeddings.weight");
  }

  std::vector<std::pair<std::string, std::vector<int64_t>>> expectedWeights() const override;
  TensorTable initialise(uint64_t seed) const override;
  void normaliseNames(TensorTable& table) const override;
  std::vector<std::string> editableWeights() const override;

  Encoded encode(const Weights& weights, const TokenBatch& source, Taps* taps) const override;
  at::Tensor targetStates(const Weights& weights, const Encoded& encoded, const Targets& targets,
                          const Prompt& prompt, Taps* taps) const override {
    return preClassified(weights, encoded, prompt, taps).index_select(0, targets.rowOf_N);
  }
  Head head(const Weights& weights) const override { return classHead(weights); }
  std::unique_ptr<DecodeState> startDecode(const Weights& weights, const Encoded& encoded,
                                           const Prompt& prompt) const override {
    return classState(applyHead(head(weights), preClassified(weights, encoded, prompt, nullptr)));
  }

 private:
  at::Tensor norm(const Scope& scope, const std::string& name, const at::Tensor& x_ND) const {
    return layerNorm(scope, name, x_ND, kEpsilon);
  }
  at::Tensor positionRows(const Scope& embeddings, int64_t first, int64_t count) const {
    return embeddings["position_embeddings.weight"].narrow(0, first, count);
  }
  at::Tensor embedTokens(const Scope& embeddings, const TokenBatch& source, int64_t firstPosition) const;
  at::Tensor embedPrompt(const Scope& embeddings, const Prompt& prompt) const;
  /// What a layer does once its keys and values are known, for the positions of `queries` alone.
  at::Tensor finishLayer(const Scope& layer, const at::Tensor& x_ND, const RaggedLayout& queries,
                         const KeysValues& seen, const at::Tensor& mask) const;
  /// State of [CLS] behind the last layer of a pass over [pr ; source]: [B, D].
  at::Tensor promptedFirst(const Scope& distilbert, const TokenBatch& source, const Prompt& prompt) const;
  /// What the head reads: [B, D].
  at::Tensor preClassified(const Weights& weights, const Encoded& encoded, const Prompt& prompt,
                           Taps* taps) const;

  Json json_;
  DistilBertConfig config_;
  MultiHead attention_;
};

std::string layerName(int64_t index) { return "distilbert.transformer.layer." + std::to_string(index) + "."; }

std::vector<std::pair<std::string, std::vector<int64_t>>> DistilBert::expectedWeights() const {
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
  const std::string embeddings = "distilbert.embeddings.";
  all.push_back({embeddings + "word_embeddings.weight", {config_.vocabulary, width}});
  all.push_back({embeddings + "position_embeddings.weight", {config_.positions, width}});
  norm(embeddings + "LayerNorm");
  for (int64_t i = 0; i < config_.layers; ++i) {
    const std::string layer = layerName(i);
    for (const char* name : {"q_lin", "k_lin", "v_lin", "out_lin"})
      linear(layer + "attention." + name, width, width);
    norm(layer + "sa_layer_norm");
    linear(layer + "ffn.lin1", config_.innerWidth, width);
    linear(layer + "ffn.lin2", width, config_.innerWidth);
    norm(layer + "output_layer_norm");
  }
  if (config_.encoderOnly) return all;
  linear("pre_classifier", width, width);
  linear("classifier", config_.logits, width);
  return all;
}

TensorTable DistilBert::initialise(uint64_t seed) const {
  TensorTable table;
  for (const auto& [name, shape] : expectedWeights()) {
    if (name.ends_with(".bias")) {
      table.emplace(name, at::zeros(shape, at::kFloat));
    } else if (name.ends_with("LayerNorm.weight") || name.ends_with("layer_norm.weight")) {
      table.emplace(name, at::ones(shape, at::kFloat));
    } else {
      table.emplace(name, Random(seed, name).normalTensor(shape, 0, config_.initialDeviation));
    }
  }
  table.at("distilbert.embeddings.word_embeddings.weight").select(0, config_.padId).zero_();
  return table;
}

void DistilBert::normaliseNames(TensorTable& table) const {
  // The encoder alone is saved without a prefix.
  const auto canonical = [](std::string name) {
    for (const char* part : {"embeddings.", "transformer."}) {
      if (name.starts_with(part)) name.insert(0, "distilbert.");
    }
    return name;
  };
  TensorTable renamed;
  for (auto& [name, tensor] : table) renamed.emplace(canonical(name), std::move(tensor));
  table = std::move(renamed);
  keepKnown(table);
}

std::vector<std::string> DistilBert::editableWeights() const {
  std::vector<std::string> names;
  for (int64_t i = std::max<int64_t>(config_.layers - 2, 0); i < config_.layers; ++i) {
    for (const char* matrix : {"lin1", "lin2"}) names.push_back(layerName(i) + "ffn." + matrix + ".weight");
  }
  return names;
}

at::Tensor DistilBert::embedTokens(const Scope& embeddings, const TokenBatch& source,
                                   int64_t firstPosition) const {
  return embedRows(embeddings["word_embeddings.weight"], source.ids_BS) +
         positionRows(embeddings, firstPosition, source.columns());
}

at::Tensor DistilBert::embedPrompt(const Scope& embeddings, const Prompt& prompt) const {
  if (prompt.positions == PromptPositions::Keep) return prompt.rows_BPD;
  return prompt.rows_BPD + positionRows(embeddings, 0, prompt.length());
}

at::Tensor DistilBert::finishLayer(const Scope& layer, const at::Tensor& x_ND, const RaggedLayout& queries,
                                   const KeysValues& seen, const at::Tensor& mask) const {
  const at::Tensor h_ND = norm(layer, "sa_layer_norm",
                               x_ND + attention_.attention(layer / "attention", x_ND, queries, seen, mask));
  const at::Tensor inner = activate(Activation::Gelu, biasedLinear(layer, "ffn.lin1", h_ND));
  return norm(layer, "output_layer_norm", h_ND + biasedLinear(layer, "ffn.lin2", inner));
}

Encoded DistilBert::encode(const Weights& weights, const TokenBatch& source, Taps* taps) const {
  demandFirstTokens(source);
  demandPositions(source.columns(), config_.positions);
  const Scope distilbert = Scope(weights, taps) / "distilbert";
  const RaggedLayout layout(source.lengths, source.columns(), source.ids_BS.device());
  const at::Tensor mask = source.fullyReal ? at::Tensor() : keyMask(source.mask_BS);
  const Scope embeddings = distilbert / "embeddings";
  at::Tensor x_ND = norm(embeddings, "LayerNorm",
                         layout.pack(embedTokens(embeddings, source, 0).reshape({-1, config_.width})));
  for (int64_t i = 0; i < config_.layers; ++i) {
    const Scope layer = distilbert / "transformer" / "layer" / std::to_string(i);
    x_ND = finishLayer(layer, x_ND, layout, attention_.keysValues(layer / "attention", x_ND, layout), mask);
  }
  return {source, layout.unpack(x_ND).view({source.rows(), source.columns(), config_.width})};
}

at::Tensor DistilBert::promptedFirst(const Scope& distilbert, const TokenBatch& source,
                                     const Prompt& prompt) const {
  const int64_t first = prompt.positions == PromptPositions::Concat ? prompt.length() : 0;
  demandPositions(first + source.columns(), config_.positions);
  const PromptedRows rows = promptedRows(source, prompt.length());
  const Scope embeddings = distilbert / "embeddings";
  const at::Tensor x_BTD =
      at::cat({embedPrompt(embeddings, prompt), embedTokens(embeddings, source, first)}, 1);
  at::Tensor x_ND = norm(embeddings, "LayerNorm", rows.layout.pack(x_BTD.reshape({-1, config_.width})));
  for (int64_t i = 0; i < config_.layers; ++i) {
    const Scope layer = distilbert / "transformer" / "layer" / std::to_string(i);
    const KeysValues seen = attention_.keysValues(layer / "attention", x_ND, rows.layout);
    if (i + 1 < config_.layers) {
      x_ND = finishLayer(layer, x_ND, rows.layout, seen, rows.mask);
      continue;
    }
    // Only [CLS] is read: behind the last keys and values it goes on alone.
    const RaggedLayout alone(std::vector<int64_t>(source.rows(), 1), 1, source.ids_BS.device());
    x_ND = finishLayer(layer, x_ND.index_select(0, rows.first_B), alone, seen, rows.mask);
  }
  return x_ND;
}

at::Tensor DistilBert::preClassified(const Weights& weights, const Encoded& encoded, const Prompt& prompt,
                                     Taps* taps) const {
  const Scope model(weights, taps);
  demandHead(weights);
  const at::Tensor first_BD = prompt.length() > 0
                                  ? promptedFirst(model / "distilbert", encoded.source, prompt)
                                  : encoded.h_BSD.select(1, 0);
  return at::relu(biasedLinear(model, "pre_classifier", first_BD));
}

}  // namespace

std::shared_ptr<const Architecture> makeDistilBert(const Json& config) {
  return std::make_shared<DistilBert>(config, parseConfig(config));
}

}  // namespace seprog
