// B rows, S source columns, T target columns, P prompt rows, D hidden width, H heads, C channels per head, K
// key columns, N real positions of a pass packed row after row, M those of them that are tokens, R live rows
// while decoding, V vocabulary.
#include "gpt2.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "../error.h"
#include "../layers/activation.h"
#include "../layers/attention.h"
#include "../layers/attention_memory.h"
#include "../layers/decode_cache.h"
#include "../layers/layer_norm.h"
#include "../layers/linear.h"
#include "../layers/narrow_linear.h"
#include "../layers/positions.h"
#include "../layers/ragged.h"
#include "../tensor/random.h"
#include "config_fields.h"

namespace seprog {
namespace {

struct Gpt2Config {
  int64_t width = 0;
  int64_t innerWidth = 0;
  int64_t heads = 0;
  int64_t layers = 0;
  int64_t positions = 0;
  int64_t vocabulary = 0;
  int64_t padId = 0;
  int64_t startId = 0;
  int64_t stopId = 0;
  double epsilon = 0;
  double deviation = 0;  // of fresh weights
  Activation activation = Activation::GeluNew;
  bool ownPadToken = false;
};

Gpt2Config parseConfig(const Json& json) {
  Options options(json, "config");
  Gpt2Config config;
  config.width = integerFrom(options, "n_embd", 1);
  config.innerWidth = integerFrom(options, "n_inner", 1, 4 * config.width);
  config.heads = integerFrom(options, "n_head", 1);
  if (config.width % config.heads != 0) {
    fail(ErrorCode::ConfigInvalid, "expected a divisor of n_embd " + std::to_string(config.width) +
                                       " for `config.n_head` but received " + std::to_string(config.heads));
  }
  config.layers = integerFrom(options, "n_layer", 1);
  config.positions = integerFrom(options, "n_positions", 1, 1024);
  config.vocabulary = integerFrom(options, "vocab_size", 1);
  config.stopId = tokenFrom(options, "eos_token_id", config.vocabulary, config.vocabulary - 1);
  config.startId = tokenFrom(options, "bos_token_id", config.vocabulary, config.stopId);
  config.ownPadToken = options.has("pad_token_id");
  config.padId = tokenFrom(options, "pad_token_id", config.vocabulary, config.stopId);
  config.epsilon = options.number("layer_norm_epsilon", 1e-5);
  config.deviation = options.number("initializer_range", 0.02);
  config.activation = activationFrom(options, "activation_function", "gelu_new");
  const auto demand = [&](const char* key, bool value) {
    if (options.boolean(key, value) == value) return;
    fail(ErrorCode::Unsupported, "expected " + std::string(value ? "true" : "false") + " for `config." + key +
                                     "` of a GPT-2 model but received " + (value ? "false" : "true"));
  };
  demand("tie_word_embeddings", true);
  demand("scale_attn_weights", true);
  demand("scale_attn_by_inverse_layer_idx", false);
  return config;
}

/// The real positions of a pass, embedded: prompt, source and target without a gap between them.
struct Packed {
  RaggedLayout layout;
  std::vector<int64_t> lengths;  // positions of each row
  at::Tensor x_ND;
};

/// What a last block still computes: the columns first_B[b] and later of each row, on a grid of `columns`.
struct Kept {
  std::vector<int64_t> first_B;
  int64_t columns;
};

class Gpt2 final : public Architecture {
 public:
  Gpt2(const Json& json, const Gpt2Config& config) : json_(json), config_(config) {}

  const std::string& family() const override {
    static const std::string name = "gpt2";
    return name;
  }
  const Json& config() const override { return json_; }
  int64_t hiddenWidth() const override { return config_.width; }
  int64_t embeddingWidth() const override { return config_.width; }
  int64_t vocabulary() const override { return config_.vocabulary; }
  AnswerKind answerKind() const override { return AnswerKind::Continuation; }
  bool answersFromStates() const override { return false; }
  int64_t padId() const override { return config_.padId; }
  int64_t startId() const override { return config_.startId; }
  int64_t stopId() const override { return config_.stopId; }
  const at::Tensor& embeddingTable(const Weights& weights) const override {
    return weights.at("transformer.wte.weight");
  }

  std::vector<std::pair<std::string, std::vector<int64_t>>> expectedWeights() const override;
  TensorTable initialise(uint64_t seed) const override;
  void normaliseNames(TensorTable& table) const override;
  std::shared_ptr<const Architecture> withPadToken(TensorTable& table) const override;
  std::vector<std::string> editableWeights() const override;
  Narrowing narrowing(std::string_view name, BaseDtype dtype) const override {
    if (name == "transformer.wpe.weight") return Narrowing::None;
    const bool isConv1D = name.starts_with("transformer.h.");
    return isConv1D ? Narrowing::OutputsAreColumns : Architecture::narrowing(name, dtype);
  }

  Encoded encode(const Weights& weights, const TokenBatch& source, Taps* taps) const override;
  at::Tensor targetStates(const Weights& weights, const Encoded& encoded, const Targets& targets,
                          const Prompt& prompt, Taps* taps) const override;
  Head head(const Weights& weights) const override;
  std::unique_ptr<DecodeState> startDecode(const Weights& weights, const Encoded& encoded,
                                           const Prompt& prompt) const override;

 private:
  friend class Gpt2DecodeState;

  /// Position of the first token behind a prompt.
  static int64_t tokenOffset(const Prompt& prompt) {
    return prompt.positions == PromptPositions::Concat ? prompt.length() : 0;
  }
  at::Tensor embed(const Weights& weights, const at::Tensor& ids_M, const at::Tensor& positions_M) const {
    return embedRows(weights.at("transformer.wte.weight"), ids_M) +
           at::embedding(weights.at("transformer.wpe.weight"), positions_M);
  }
  Packed pack(const Weights& weights, const TokenBatch& source, const TokenBatch* target,
              const Prompt& prompt) const;
  /// All blocks and the last norm, at the kept columns or at all: [rows, D]. `cache`: where given, filled with
  /// the keys and values of all positions.
  at::Tensor run(const Weights& weights, Taps* taps, const Packed& pass, const Kept* kept,
                 DecodeCache* cache) const;
  at::Tensor norm(const Scope& scope, const char* layer, const at::Tensor& x_ND) const {
    return layerNorm(scope, layer, x_ND, config_.epsilon);
  }
  /// Queries, keys and values of packed rows: [N, D] each.
  std::vector<at::Tensor> projections(const Scope& block, const at::Tensor& x_ND) const {
    return transposedLinear(block, "attn.c_attn", norm(block, "ln_1", x_ND)).split(config_.width, 1);
  }
  /// What a block does after its keys and values are known.
  /// `memory`: a GridMemory or a SpanMemory.
  template <typename Memory>
  at::Tensor finishBlock(const Scope& block, const at::Tensor& x_ND, const at::Tensor& q_ND,
                         const Memory& memory) const;
  static Scope blockScope(const Scope& transformer, int64_t index) {
    return transformer / "h" / std::to_string(index);
  }

  Json json_;
  Gpt2Config config_;
};

std::vector<std::pair<std::string, std::vector<int64_t>>> Gpt2::expectedWeights() const {
  const int64_t width = config_.width;
  std::vector<std::pair<std::string, std::vector<int64_t>>> all;
  const auto linear = [&](const std::string& name, int64_t in, int64_t out) {
    all.push_back({name + ".weight", {in, out}});
    all.push_back({name + ".bias", {out}});
  };
  const auto norm = [&](const std::string& name) {
    all.push_back({name + ".weight", {width}});
    all.push_back({name + ".bias", {width}});
  };
  all.push_back({"transformer.wte.weight", {config_.vocabulary, width}});
  all.push_back({"transformer.wpe.weight", {config_.positions, width}});
  for (int64_t i = 0; i < config_.layers; ++i) {
    const std::string block = "transformer.h." + std::to_string(i) + ".";
    norm(block + "ln_1");
    linear(block + "attn.c_attn", width, 3 * width);
    linear(block + "attn.c_proj", width, width);
    norm(block + "ln_2");
    linear(block + "mlp.c_fc", width, config_.innerWidth);
    linear(block + "mlp.c_proj", config_.innerWidth, width);
  }
  norm("transformer.ln_f");
  return all;
}

TensorTable Gpt2::initialise(uint64_t seed) const {
  TensorTable table;
  for (const auto& [name, shape] : expectedWeights()) {
    if (name.ends_with(".bias")) {
      table.emplace(name, at::zeros(shape, at::kFloat));
    } else if (name.find(".ln_") != std::string::npos) {
      table.emplace(name, at::ones(shape, at::kFloat));
    } else {
      // Two layers a block write into the residual stream.
      const double share =
          name.ends_with(".c_proj.weight") ? 1 / std::sqrt(2 * static_cast<double>(config_.layers)) : 1;
      table.emplace(name, Random(seed, name).normalTensor(shape, 0, config_.deviation * share));
    }
  }
  return table;
}

void Gpt2::normaliseNames(TensorTable& table) const {
  TensorTable named;
  for (const auto& [name, tensor] : table) {
    named.emplace(name.starts_with("transformer.") ? name : "transformer." + name, tensor);
  }
  table = std::move(named);
  keepKnown(table);
}

std::shared_ptr<const Architecture> Gpt2::withPadToken(TensorTable& table) const {
  if (config_.ownPadToken) return nullptr;
  at::Tensor& wte_VD = table.at("transformer.wte.weight");
  Json::Object members;
  for (const auto& [key, value] : json_.object()) {
    if (key != "vocab_size" && key != "pad_token_id") members.emplace_back(key, value);
  }
  members.emplace_back("vocab_size", Json(config_.vocabulary + 1));
  members.emplace_back("pad_token_id", Json(config_.vocabulary));
  wte_VD = at::cat({wte_VD, wte_VD.mean(0, true)}, 0);
  return makeGpt2(Json(std::move(members)));
}

std::vector<std::string> Gpt2::editableWeights() const {
  std::vector<std::string> names;
  for (int64_t i = std::max<int64_t>(config_.layers - 2, 0); i < config_.layers; ++i) {
    for (const char* matrix : {"c_fc", "c_proj"}) {
      names.push_back("transformer.h." + std::to_string(i) + ".mlp." + matrix + ".weight");
    }
  }
  return names;
}

Packed Gpt2::pack(const Weights& weights, const TokenBatch& source, const TokenBatch* target,
                  const Prompt& prompt) const {
  const int64_t rows = source.rows();
  const int64_t prompts = prompt.length();
  const int64_t offset = tokenOffset(prompt);
  const int64_t targetsFrom = rows * source.columns();
  std::vector<int64_t> lengths;
  std::vector<int64_t> place;     // of each token among the ids of sources and targets
  std::vector<int64_t> position;  // of each token
  std::vector<int64_t> order;     // of prompt rows, counted first, and tokens, counted behind them
  // As many as the sides have, not as the longest row needs: a row of a selection is computed to the same
  // bits as within the whole batch.
  const int64_t columns =
      prompts + source.columns() + (target == nullptr ? 0 : std::max<int64_t>(target->columns() - 1, 0));
  for (int64_t b = 0; b < rows; ++b) {
    const int64_t sources = source.lengths[b];
    // The last target token predicts nothing that anyone asks for.
    const int64_t targets = target == nullptr ? 0 : std::max<int64_t>(target->lengths[b] - 1, 0);
    for (int64_t i = 0; i < prompts; ++i) order.push_back(b * prompts + i);
    for (int64_t t = 0; t < sources + targets; ++t) {
      order.push_back(rows * prompts + static_cast<int64_t>(place.size()));
      place.push_back(t < sources ? b * source.columns() + t
                                  : targetsFrom + b * target->columns() + t - sources);
      position.push_back(offset + t);
    }
    lengths.push_back(prompts + sources + targets);
    demandPositions(offset + sources + targets, config_.positions,
                    target == nullptr ? "source" : "source and target");
  }
  const at::Device device = source.ids_BS.device();
  at::Tensor ids = source.ids_BS.reshape({-1});
  if (target != nullptr) ids = at::cat({ids, target->ids_BS.reshape({-1})});
  at::Tensor x_ND = embed(weights, ids.index_select(0, at::tensor(place, at::kLong).to(device)),
                          at::tensor(position, at::kLong).to(device));
  if (prompts > 0) {
    at::Tensor rows_BPD = prompt.rows_BPD;
    if (prompt.positions == PromptPositions::Concat) {
      rows_BPD = rows_BPD + weights.at("transformer.wpe.weight").narrow(0, 0, prompts);
    }
    x_ND = at::cat({rows_BPD.reshape({-1, config_.width}), x_ND})
               .index_select(0, at::tensor(order, at::kLong).to(device));
  }
  return {RaggedLayout(lengths, columns, device), lengths, x_ND};
}

template <typename Memory>
at::Tensor Gpt2::finishBlock(const Scope& block, const at::Tensor& x_ND, const at::Tensor& q_ND,
                             const Memory& memory) const {
  const double scale = 1 / std::sqrt(static_cast<double>(config_.width / config_.heads));
  const at::Tensor read_ND = readMemory(q_ND, config_.heads, scale, memory);
  const at::Tensor out_ND = x_ND + transposedLinear(block, "attn.c_proj", read_ND);
  const at::Tensor inner_NF = transposedLinear(block, "mlp.c_fc", norm(block, "ln_2", out_ND));
  return out_ND + transposedLinear(block, "mlp.c_proj", activate(config_.activation, inner_NF));
}

at::Tensor Gpt2::run(const Weights& weights, Taps* taps, const Packed& pass, const Kept* kept,
                     DecodeCache* cache) const {
  const Scope transformer = Scope(weights, taps) / "transformer";
  const at::Device device = pass.x_ND.device();
  const int64_t columns = pass.layout.columns();
  RaggedLayout layout = pass.layout;
  at::Tensor bias = causalMask(0, columns, columns, device);
  at::Tensor x_ND = pass.x_ND;
  if (cache != nullptr) cache->extend(pass.lengths);
  for (int64_t i = 0; i < config_.layers; ++i) {
    const Scope block = blockScope(transformer, i);
    const std::vector<at::Tensor> qkv = projections(block, x_ND);
    at::Tensor q_ND = qkv[0];
    const PackedKeysValues fresh{qkv[1], qkv[2]};
    if (cache != nullptr) cache->append(i, fresh);
    const KeysValues seen = fresh.onGrid(layout, config_.heads);
    if (i + 1 == config_.layers && kept != nullptr) {
      // No later block reads the other rows: behind the last keys and values only these go on.
      const at::Tensor rows = layout.from(kept->first_B, device);
      x_ND = x_ND.index_select(0, rows);
      q_ND = q_ND.index_select(0, rows);
      std::vector<int64_t> lengths(pass.lengths);
      for (size_t b = 0; b < lengths.size(); ++b) lengths[b] -= kept->first_B[b];
      layout = RaggedLayout(lengths, kept->columns, device);
      bias = causalMask(kept->first_B, kept->columns, columns, device);
    }
    x_ND = finishBlock(block, x_ND, q_ND, GridMemory{layout, seen, bias});
  }
  return norm(transformer, "ln_f", x_ND);
}

Encoded Gpt2::encode(const Weights& weights, const TokenBatch& source, Taps* taps) const {
  const Packed pass = pack(weights, source, nullptr, {});
  const at::Tensor h_ND = run(weights, taps, pass, nullptr, nullptr);
  return {source, pass.layout.unpack(h_ND).view({source.rows(), source.columns(), config_.width})};
}

/// The last position of each source behind a prompt: what predicts the first new token.
std::vector<int64_t> lastOfSource(const TokenBatch& source, const Prompt& prompt) {
  std::vector<int64_t> last_B;
  for (size_t b = 0; b < source.lengths.size(); ++b) {
    if (source.lengths[b] == 0) {
      fail(ErrorCode::DataInvalid, "expected at least one token for `source` row " + std::to_string(b) +
                                       " of a GPT-2 model but received none; there is nothing to continue");
    }
    last_B.push_back(prompt.length() + source.lengths[b] - 1);
  }
  return last_B;
}

at::Tensor Gpt2::targetStates(const Weights& weights, const Encoded& encoded, const Targets& targets,
                              const Prompt& prompt, Taps* taps) const {
  Kept kept{lastOfSource(encoded.source, prompt), targets.tokens.columns()};
  for (size_t b = 0; b < kept.first_B.size(); ++b) {
    if (targets.tokens.lengths[b] == 0) ++kept.first_B[b];
  }
  return run(weights, taps, pack(weights, encoded.source, &targets.tokens, prompt), &kept, nullptr);
}

Head Gpt2::head(const Weights& weights) const {
  return {weights.at("transformer.wte.weight"), 1, at::Tensor()};
}

class Gpt2DecodeState final : public DecodeState {
 public:
  Gpt2DecodeState(const Gpt2& model, const Weights& weights, const Encoded& encoded, const Prompt& prompt)
      : model_(model),
        weights_(weights),
        head_(model.head(weights_)),
        cache_(model.config_.layers, encoded.source.rows(), encoded.source.ids_BS.device()) {
    const TokenBatch& source = encoded.source;
    const Kept last{lastOfSource(source, prompt), 1};
    last_RD_ = model_.run(weights_, nullptr, model_.pack(weights_, source, nullptr, prompt), &last, &cache_);
    const int64_t offset = Gpt2::tokenOffset(prompt);
    longest_ = offset + *std::ranges::max_element(source.lengths);
    position_R_ = at::tensor(source.lengths, at::kLong).to(source.ids_BS.device()) + offset;
  }

  at::Tensor first() override { return applyHead(head_, last_RD_); }

  at::Tensor next(const at::Tensor& ids_R) override {
    demandPositions(++longest_, model_.config_.positions, "source and answer");
    const Scope transformer = Scope(weights_) / "transformer";
    at::Tensor x_RD = model_.embed(weights_, ids_R, position_R_);
    position_R_ = position_R_ + 1;
    cache_.extend(std::vector<int64_t>(ids_R.size(0), 1));
    for (int64_t i = 0; i < model_.config_.layers; ++i) {
      const Scope block = Gpt2::blockScope(transformer, i);
      const std::vector<at::Tensor> qkv = model_.projections(block, x_RD);
      cache_.append(i, {qkv[1], qkv[2]});
      x_RD = model_.finishBlock(block, x_RD, qkv[0], cache_.memory(i));
    }
    return applyHead(head_, model_.norm(transformer, "ln_f", x_RD));
  }

  void keep(const at::Tensor& rows_S) override {
    cache_.keep(rows_S);
    position_R_ = position_R_.index_select(0, rows_S);
  }

 private:
  const Gpt2& model_;
  Weights weights_;
  Head head_;
  at::Tensor last_RD_;     // states that predict the first new token
  int64_t longest_ = 0;    // positions in use by the longest row
  at::Tensor position_R_;  // of the next token
  DecodeCache cache_;
};

std::unique_ptr<DecodeState> Gpt2::startDecode(const Weights& weights, const Encoded& encoded,
                                               const Prompt& prompt) const {
  return std::make_unique<Gpt2DecodeState>(*this, weights, encoded, prompt);
}

}  // namespace

std::shared_ptr<const Architecture> makeGpt2(const Json& config) {
  return std::make_shared<Gpt2>(config, parseConfig(config));
}

}  // namespace seprog
