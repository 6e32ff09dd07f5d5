// Closed forms of the products in a pass over a tiny T5 and a tiny BERT, from their shapes alone. B rows, S source and
// T target columns, P prompt rows, L positions of a stack, D width, H heads, C channels per head, F inner width, V
// targets' vocabulary, N rows of a product, I inputs, O outputs.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/instrument/flops.h"
#include "tiny.h"

namespace seprog::tiny {

using Wanted = std::function<bool(const std::string& weight)>;

inline bool none(const std::string&) { return false; }
inline bool all(const std::string&) { return true; }

/// Walks through the layers of a pass. Every flag says whether a gradient is wanted of a value, or of anything it
/// depends on: only then has a product a backward pass through it.
class PassForm {
 public:
  /// Of the weights that are wanted, or of these layers' outputs.
  enum class Of { Weights, Outputs };

  explicit PassForm(Wanted wanted, Of of = Of::Weights) : wanted(std::move(wanted)), of_(of) {}

  /// x weightᵀ of N rows.
  bool linear(const std::string& weight, int64_t N, int64_t I, int64_t O, bool x) {
    const int64_t each = 2 * I * O;
    const bool recorded = x || wanted(weight);
    flops.forward += each * (recorded ? N : filled(N, I * O));
    if (x) flops.backward += each * N;
    if (wanted(weight) && of_ == Of::Weights) flops.backward += each * N;
    return recorded;
  }

  /// Q queries and K keys of each of B rows.
  bool attention(int64_t B, int64_t Q, int64_t K, int64_t headsWidth, bool q, bool k, bool v) {
    const int64_t ofRow = 2 * Q * K * headsWidth;
    const bool recorded = q || k || v;
    flops.forward += 2 * ofRow * (recorded ? B : std::max(B, 4096 / (ofRow / 2) + 1));
    const int64_t gradients = (v ? 1 : 0) + (q || k ? 1 : 0) + (q ? 1 : 0) + (k ? 1 : 0);
    flops.backward += ofRow * B * gradients;
    if (recorded && scoresAgain) flops.backward += ofRow * B;
    return recorded;
  }

  /// One query of each of B rows without a graph, its K keys in a span: a kernel that fills up no rows.
  bool decoding(int64_t B, int64_t K, int64_t headsWidth) {
    flops.forward += 4 * B * K * headsWidth;
    return false;
  }

  /// The head by hand, without a graph, for as many divergences or losses: their gradients are backward.
  void head(const std::string& weight, int64_t N, int64_t D, int64_t V, bool withGradients) {
    const int64_t each = 2 * D * V;
    flops.forward += each * filled(N, D * V);
    if (!withGradients) return;
    flops.backward += each * N;
    if (wanted(weight)) flops.backward += each * N;
  }

  Wanted wanted;
  bool scoresAgain = false;  // attention whose gradient gets a graph of its own
  FlopCounts flops;

 private:
  /// Where no graph is recorded rows are filled up (layers/linear.h).
  static int64_t filled(int64_t N, int64_t numbers) {
    const int64_t enough = std::max(N, 4096 / numbers + 1);
    return (enough + 15) / 16 * 16;
  }

  Of of_;
};

/// A family's passes. Every function but generate() gives whether a gradient is wanted of its result.
struct FamilyForm {
  int64_t D = 0, V = 0;
  std::string head;                                                         // weight
  std::vector<std::pair<std::string, std::pair<int64_t, int64_t>>> edited;  // with inputs and outputs

  virtual ~FamilyForm() = default;
  virtual Json config() const = 0;
  virtual int64_t targets(int64_t B, int64_t T) const = 0;
  /// Rows of a matrix's factors that are not zero.
  virtual int64_t factorRows(const std::string& weight, int64_t B, int64_t S, int64_t T) const = 0;
  virtual bool encode(PassForm& pass, int64_t B, int64_t S) const = 0;
  /// The states in front of the head behind a prompt that wants a gradient, or none where P is 0; `memory`: encode().
  virtual bool answer(PassForm& pass, int64_t B, int64_t S, int64_t T, int64_t P, bool memory) const = 0;
  /// Without a graph, all tokens of all rows; the head included.
  virtual void generate(PassForm& pass, int64_t B, int64_t S, int64_t P, int64_t tokens) const = 0;

  Wanted wantsEdited() const {
    return [this](const std::string& weight) {
      return std::any_of(edited.begin(), edited.end(), [&](const auto& one) { return one.first == weight; });
    };
  }
  /// From the source to the states in front of the head.
  bool whole(PassForm& pass, int64_t B, int64_t S, int64_t T) const {
    return answer(pass, B, S, T, 0, encode(pass, B, S));
  }
  void byHand(PassForm& pass, int64_t N, bool withGradients) const {
    pass.head(head, N, D, V, withGradients);
  }
};

struct T5Form : FamilyForm {
  int64_t H = 2, C = 24, F = 80, encoderBlocks = 3, decoderBlocks = 2;

  T5Form() {
    D = 32, V = 112, head = "shared.weight";
    const auto add = [&](const std::string& layer) {
      edited.push_back({layer + "DenseReluDense.wi.weight", {D, F}});
      edited.push_back({layer + "DenseReluDense.wo.weight", {F, D}});
    };
    for (int64_t i = encoderBlocks - 2; i < encoderBlocks; ++i) add(layer("encoder", i, 1));
    for (int64_t i = decoderBlocks - 2; i < decoderBlocks; ++i) add(layer("decoder", i, 2));
  }

  Json config() const override {
    return Json::parse(R"({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 32,
      "d_kv": 24, "d_ff": 80, "num_heads": 2, "num_layers": 3, "num_decoder_layers": 2, "vocab_size": 112,
      "feed_forward_proj": "relu", "relative_attention_num_buckets": 8, "decoder_start_token_id": 0})");
  }
  int64_t targets(int64_t B, int64_t T) const override { return B * T; }
  int64_t factorRows(const std::string& weight, int64_t B, int64_t S, int64_t T) const override {
    return B * (weight.starts_with("encoder") ? S : T);
  }

  bool encode(PassForm& pass, int64_t B, int64_t S) const override {
    bool x = pass.wanted("shared.weight");
    for (int64_t i = 0; i < encoderBlocks; ++i) {
      const std::string self = layer("encoder", i, 0) + "SelfAttention.";
      const auto [k, v] = keysValues(pass, self, B * S, x);
      x = attention(pass, self, B, S, S, x, k, v) || x;
      x = feedForward(pass, layer("encoder", i, 1), B * S, x) || x;
    }
    return x;
  }

  bool answer(PassForm& pass, int64_t B, int64_t S, int64_t T, int64_t P, bool memory) const override {
    bool x = P > 0 || pass.wanted("shared.weight");
    for (int64_t i = 0; i < decoderBlocks; ++i) {
      // Behind the last keys and values only target rows go on.
      const int64_t L = P + T, Q = i + 1 == decoderBlocks ? T : L;
      const std::string self = layer("decoder", i, 0) + "SelfAttention.";
      const auto [k, v] = keysValues(pass, self, B * L, x);
      const auto [crossK, crossV] =
          keysValues(pass, layer("decoder", i, 1) + "EncDecAttention.", B * S, memory);
      x = finish(pass, i, B, S, Q, L, x, {k, v}, {crossK, crossV});
    }
    return x;
  }

  void generate(PassForm& pass, int64_t B, int64_t S, int64_t P, int64_t tokens) const override {
    for (int64_t i = 0; i < decoderBlocks; ++i)
      keysValues(pass, layer("decoder", i, 1) + "EncDecAttention.", B * S, false);
    for (int64_t i = 0; i < decoderBlocks && P > 0; ++i) {
      keysValues(pass, layer("decoder", i, 0) + "SelfAttention.", B * P, false);
      if (i + 1 < decoderBlocks) finish(pass, i, B, S, P, P, false, {}, {});
    }
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t i = 0; i < decoderBlocks; ++i) {
        keysValues(pass, layer("decoder", i, 0) + "SelfAttention.", B, false);
        decode(pass, layer("decoder", i, 0) + "SelfAttention.", B, P + t + 1);
        decode(pass, layer("decoder", i, 1) + "EncDecAttention.", B, S);
        feedForward(pass, layer("decoder", i, 2), B, false);
      }
      pass.linear(head, B, D, V, false);
    }
  }

 private:
  using Flags = std::pair<bool, bool>;

  static std::string layer(const std::string& stack, int64_t block, int64_t index) {
    return stack + ".block." + std::to_string(block) + ".layer." + std::to_string(index) + ".";
  }
  Flags keysValues(PassForm& pass, const std::string& name, int64_t N, bool x) const {
    const bool k = pass.linear(name + "k.weight", N, D, H * C, x);
    return {k, pass.linear(name + "v.weight", N, D, H * C, x)};
  }
  bool attention(PassForm& pass, const std::string& name, int64_t B, int64_t Q, int64_t K, bool x, bool k,
                 bool v) const {
    const bool q = pass.linear(name + "q.weight", B * Q, D, H * C, x);
    return pass.linear(name + "o.weight", B * Q, H * C, D, pass.attention(B, Q, K, H * C, q, k, v));
  }
  void decode(PassForm& pass, const std::string& name, int64_t B, int64_t K) const {
    pass.linear(name + "q.weight", B, D, H * C, false);
    pass.linear(name + "o.weight", B, H * C, D, pass.decoding(B, K, H * C));
  }
  bool feedForward(PassForm& pass, const std::string& name, int64_t N, bool x) const {
    const bool inner = pass.linear(name + "DenseReluDense.wi.weight", N, D, F, x);
    return pass.linear(name + "DenseReluDense.wo.weight", N, F, D, inner);
  }
  bool finish(PassForm& pass, int64_t block, int64_t B, int64_t S, int64_t Q, int64_t L, bool x, Flags self,
              Flags cross) const {
    x = attention(pass, layer("decoder", block, 0) + "SelfAttention.", B, Q, L, x, self.first, self.second) ||
        x;
    x = attention(pass, layer("decoder", block, 1) + "EncDecAttention.", B, Q, S, x, cross.first,
                  cross.second) ||
        x;
    return feedForward(pass, layer("decoder", block, 2), B * Q, x) || x;
  }
};

struct BertForm : FamilyForm {
  int64_t F = 80, layers = 3;

  BertForm() {
    D = 48, V = 9, head = "classifier.weight";
    for (int64_t i = layers - 2; i < layers; ++i) {
      edited.push_back({layer(i) + "intermediate.dense.weight", {D, F}});
      edited.push_back({layer(i) + "output.dense.weight", {F, D}});
    }
  }

  Json config() const override {
    return Json::parse(R"({"model_type": "bert", "architectures": ["BertForSequenceClassification"],
      "hidden_size": 48, "num_attention_heads": 3, "intermediate_size": 80, "num_hidden_layers": 3,
      "vocab_size": 112, "max_position_embeddings": 64, "num_labels": 9})");
  }
  int64_t targets(int64_t B, int64_t) const override { return B; }
  int64_t factorRows(const std::string& weight, int64_t B, int64_t S, int64_t) const override {
    return weight.starts_with(layer(layers - 1)) ? B : B * S;  // behind the last attention only [CLS] is read
  }

  bool encode(PassForm& pass, int64_t B, int64_t S) const override {
    bool x = pass.wanted("bert.embeddings.word_embeddings.weight");
    for (int64_t i = 0; i < layers; ++i) x = walk(pass, i, B, S, S, x);
    return x;
  }

  bool answer(PassForm& pass, int64_t B, int64_t S, int64_t, int64_t P, bool memory) const override {
    bool x = memory;
    if (P > 0) {
      x = true;
      for (int64_t i = 0; i < layers; ++i) x = walk(pass, i, B, i + 1 == layers ? 1 : P + S, P + S, x);
    }
    return pass.linear("bert.pooler.dense.weight", B, D, D, x);
  }

  void generate(PassForm& pass, int64_t B, int64_t S, int64_t P, int64_t) const override {
    for (int64_t i = 0; i < layers && P > 0; ++i) {
      walk(pass, i, B, i + 1 == layers ? 1 : P + S, P + S, false);
    }
    pass.linear("bert.pooler.dense.weight", B, D, D, false);
    pass.linear(head, B, D, V, false);
  }

 private:
  static std::string layer(int64_t index) { return "bert.encoder.layer." + std::to_string(index) + "."; }
  /// Keys and values of all L positions; everything else of Q a row.
  bool walk(PassForm& pass, int64_t index, int64_t B, int64_t Q, int64_t L, bool x) const {
    const std::string name = layer(index);
    const bool k = pass.linear(name + "attention.self.key.weight", B * L, D, D, x);
    const bool v = pass.linear(name + "attention.self.value.weight", B * L, D, D, x);
    const bool q = pass.linear(name + "attention.self.query.weight", B * Q, D, D, x);
    const bool seen = pass.attention(B, Q, L, D, q, k, v);
    x = pass.linear(name + "attention.output.dense.weight", B * Q, D, D, seen) || x;
    const bool inner = pass.linear(name + "intermediate.dense.weight", B * Q, D, F, x);
    return pass.linear(name + "output.dense.weight", B * Q, F, D, inner) || x;
  }
};

inline std::unique_ptr<const FamilyForm> formOf(const std::string& family) {
  if (family == "T5") return std::make_unique<const T5Form>();
  return std::make_unique<const BertForm>();
}

}  // namespace seprog::tiny
