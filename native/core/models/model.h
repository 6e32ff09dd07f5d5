// What an editor, a decoder and a scorer may ask of a base model family. One subclass per architecture, one
// file each.
//
// B rows, S source columns, T target columns, P prompt rows, D hidden width, V vocabulary, N target tokens in
// the batch.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "../json.h"
#include "../layers/linear.h"
#include "../tensor/token_batch.h"
#include "../tensor/weights.h"
#include "base_dtype.h"
#include "encoding_memo.h"

namespace seprog {

/// Encoder output of a batch: reused for pooling (b(x)), for cross-attention, and by base and prompted
/// decoding alike.
struct Encoded {
  TokenBatch source;
  at::Tensor h_BSD;
  Encoded select(const at::Tensor& rows_R) const;
};

enum class Pooling { Mean, First, Last };

/// Mean over real positions, or the first or last real position, of h_BSD: [B, D] (seprog.md R6).
at::Tensor pool(const at::Tensor& h_BSD, const TokenBatch& tokens, Pooling pooling);

/// How a family answers. Text: a decoder's own sequence, ended by the stop token. Continuation: further tokens
/// of the source, without one. Label: one class id.
enum class AnswerKind { Text, Continuation, Label };

/// Where tokens stand beside a prompt: behind it, or at their unprompted positions while prompt rows get no
/// position vector (seprog.md section 3).
enum class PromptPositions { Concat, Keep };

/// Vectors placed before the token embeddings, one row of P a row of the batch; undefined rows: no prompt.
struct Prompt {
  Prompt(at::Tensor rows = {}, PromptPositions tokenPositions = PromptPositions::Concat)
      : rows_BPD(std::move(rows)), positions(tokenPositions) {}
  at::Tensor rows_BPD;
  PromptPositions positions;
  int64_t length() const { return rows_BPD.defined() ? rows_BPD.size(1) : 0; }
};

/// Targets of a teacher-forced pass: `target` rows hold y_1 … y_T including the stop token, or one class id.
/// `flatRows_N` indexes the real target positions in a flattened [B·T]; `labels_N` are their ids.
struct Targets {
  TokenBatch tokens;
  at::Tensor flatRows_N;
  at::Tensor labels_N;
  at::Tensor rowOf_N;  // which of the B rows a target token belongs to
  /// Keeps the number of columns, so that a selected row is computed to the same bits as within the whole
  /// batch.
  Targets select(const at::Tensor& rows_R) const;
};
Targets makeTargets(const TokenRows& target, int64_t padId, int64_t vocabulary, const at::Device& device);

class Architecture;
/// Targets as a family takes them. Throws DATA_INVALID for an id outside its targets, and for a classifier where
/// a row has not exactly one.
Targets targetsFor(const Architecture& family, const TokenRows& target, const at::Device& device);

/// The caller owns decoding state; a step consumes one id per row and gives logits of the next token.
class DecodeState {
 public:
  virtual ~DecodeState() = default;
  /// Logits of the first new token, [R, V]. Called once, before next().
  virtual at::Tensor first() = 0;
  /// ids_R: last new token of each live row. Returns logits_RV. Each call moves one position on.
  virtual at::Tensor next(const at::Tensor& ids_R) = 0;
  /// Keeps only these rows of all caches (finished rows are dropped from the batch).
  virtual void keep(const at::Tensor& rows_R) = 0;
};

class Architecture {
 public:
  virtual ~Architecture() = default;

  virtual const std::string& family() const = 0;  // "t5"
  /// config.json as loaded.
  virtual const Json& config() const = 0;
  virtual int64_t hiddenWidth() const = 0;     // D of encoder states; d_b of seprog.md
  virtual int64_t embeddingWidth() const = 0;  // d of a prompt vector
  virtual int64_t vocabulary() const = 0;
  virtual AnswerKind answerKind() const { return AnswerKind::Text; }
  /// Ids a target may hold: the vocabulary, or the number of classes.
  virtual int64_t targetVocabulary() const { return vocabulary(); }
  /// Whether answering without a prompt reads the states of encode(); else `source` of Encoded is enough.
  virtual bool answersFromStates() const { return true; }
  virtual int64_t padId() const = 0;
  virtual int64_t startId() const = 0;
  virtual int64_t stopId() const = 0;
  /// The embedding table prompts are initialised from.
  virtual const at::Tensor& embeddingTable(const Weights& weights) const = 0;
  /// Tensor names the architecture reads with their shapes: what a loader checks and an initialiser fills.
  virtual std::vector<std::pair<std::string, std::vector<int64_t>>> expectedWeights() const = 0;
  /// Fresh weights as the family's own initialisation makes them. Same seed, same bits.
  virtual TensorTable initialise(uint64_t seed) const = 0;
  /// In place: renames what files of this family call otherwise, and drops all that the architecture does not
  /// read (duplicates, tied copies, buffers, heads of other tasks, strangers).
  virtual void normaliseNames(TensorTable& table) const = 0;
  /// The family with a pad token of its own, whose embedding is appended to the table in `table`; nullptr where it
  /// has one.
  virtual std::shared_ptr<const Architecture> withPadToken(TensorTable& table) const;
  /// Of a matrix: whether a base of a narrower type stores it in it (base_dtype.h): those of the large products and the token
  /// embeddings. Tables read by position or type and last layers of a few classes stay fp32.
  virtual Narrowing narrowing(std::string_view name, BaseDtype dtype) const;
  /// models.md section 8: what the gradient-based editors edit, in order.
  virtual std::vector<std::string> editableWeights() const = 0;

  virtual Encoded encode(const Weights& weights, const TokenBatch& source, Taps* taps = nullptr) const = 0;
  /// encode(), or the source alone where answering without a prompt reads no states.
  Encoded encodeForAnswers(const Weights& weights, const TokenBatch& source) const;
  /// Teacher-forced decoder states in front of the head, at the target positions only: [N, D] in the order of
  /// `targets.flatRows_N`. Feed them to tokenNll() (train/losses.h), which
  /// never holds all logits at once.
  virtual at::Tensor targetStates(const Weights& weights, const Encoded& encoded, const Targets& targets,
                                  const Prompt& prompt, Taps* taps = nullptr) const = 0;
  virtual Head head(const Weights& weights) const = 0;
  /// The head on targetStates(): [N, V].
  at::Tensor targetLogits(const Weights& weights, const Encoded& encoded, const Targets& targets,
                          const Prompt& prompt, Taps* taps = nullptr) const;
  /// Prompt rows are processed here, once; they do not count towards new tokens.
  virtual std::unique_ptr<DecodeState> startDecode(const Weights& weights, const Encoded& encoded,
                                                   const Prompt& prompt) const = 0;

 protected:
  /// Drops every tensor that is neither in expectedWeights() nor `optional`.
  void keepKnown(TensorTable& table, const std::set<std::string_view>& optional = {}) const;
};

/// An immutable base model: a family and its weights on one device.
struct Model {
  std::shared_ptr<const Architecture> architecture;
  Weights weights;
  at::Device device = at::Device(at::kCPU);
  BaseDtype dtype = BaseDtype::Fp32;                  // of its large matrices
  std::shared_ptr<EncodingMemo> encodings = nullptr;  // of these very weights; nullptr: nothing is kept
};

/// Throws UNSUPPORTED for an unknown `model_type`, CONFIG_INVALID for bad fields.
std::shared_ptr<const Architecture> makeArchitecture(const Json& config);

struct LoadOptions {
  /// Give a model that lacks a pad token one: a further id whose embedding is the mean of the others (models.md
  /// section 7). Its logit takes part in every softmax.
  bool addPadToken = false;
  BaseDtype dtype = BaseDtype::Fp32;
};

/// config.json of a model folder. Throws CHECKPOINT_INVALID when it is missing or no JSON.
Json readConfig(const std::string& directory);

/// Loads a Hugging Face folder: config.json, then model.safetensors or its shards, else pytorch_model.bin
/// (io/torch_file.h) or its shards; shards by the index beside them. Tensors that the architecture does not
/// read are dropped, of whatever type and value. Half-precision weights are widened to fp32 and only then
/// made of `dtype`. Throws CHECKPOINT_INVALID (missing, truncated or malformed file), WEIGHT_MISSING,
/// SHAPE_MISMATCH, NON_FINITE (a NaN or infinity in a weight, or a weight beyond fp16), each naming file and
/// tensor; UNSUPPORTED as demandDtype().
Model loadModel(const std::string& directory, const at::Device& device, const LoadOptions& options = {});
/// The same, with `config` in place of the folder's own.
Model loadModel(const std::string& directory, const Json& config, const at::Device& device,
                const LoadOptions& options = {});
Model createModel(const Json& config, uint64_t seed, const at::Device& device,
                  BaseDtype dtype = BaseDtype::Fp32);
/// Writes config.json and model.safetensors atomically. dtype: "fp32" | "fp16" | "bf16". Throws UNSUPPORTED for an int8
/// model, whose weights are no longer those of a file.
void saveModel(const Model& model, const std::string& directory, const std::string& dtype);

}  // namespace seprog
