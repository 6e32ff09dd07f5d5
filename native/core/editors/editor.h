// What every editor and trainer offers. A new editor is one file here, one in src/editors and a line in each registry.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../decode/generate.h"
#include "../engine/job.h"
#include "../json.h"
#include "../models/model.h"

namespace seprog {

/// What a prefixed or routed model decided per row; empty for others.
struct ScopeDecision {
  std::vector<float> logit;       // ℓ(x); in scope iff > 0
  std::vector<int32_t> selected;  // arg-max edit of α; −1 with an empty memory or without attention
};

/// The truth that oracle variants read, one value a row: the edit in whose scope the row is, counted in the order
/// of the memory, or −1. Empty where nobody needs it.
using GoldEdits = std::vector<int32_t>;

/// The inputs of rows as models beside the base read them, one row a row, in the ids of their own tokenizers. Empty:
/// such a model reads the base's ids.
struct RowViews {
  TokenRows classifier;      // x' for a scope classifier
  TokenRows counterfactual;  // x' as it stands behind an edit's prefix
};

/// What goes with the rows of a call beside their tokens.
struct RowNotes {
  RowNotes(GoldEdits goldEdits = {}, RowViews rowViews = {})
      : gold(std::move(goldEdits)), views(std::move(rowViews)) {}
  GoldEdits gold;
  RowViews views;
  /// Encoder outputs of the base that may be kept from call to call, and used; 0: none (models/encoding_memo.h).
  int64_t encodingBytes = 0;
};
/// Throws DATA_INVALID when there are gold edits or views but not one a row.
void checkNotes(const RowNotes& notes, int64_t rows);

/// Named figures of a step or an edit: "loss", "gradNorm", and what the editor adds.
using Figures = std::vector<std::pair<std::string, double>>;

/// Per target token in row order (N = Σ target lengths), and per row.
struct TokenScores {
  std::vector<float> logProb;   // ln p(y_t | y_<t, x), N
  std::vector<int32_t> argmax;  // N
  std::vector<float> rowLoss;   // −Σ_t ln p of the row's tokens, B
  ScopeDecision scope;
};

struct Generation {
  TokenRows tokens;
  ScopeDecision scope;
};

/// What the two protocols say to the same rows: free generation, and teacher forcing on given targets.
struct Replies {
  Generation generation;
  TokenScores scores;
};

/// Anything that answers: a base model, an overlay, a router, a prefixed model. Immutable from outside. Notes that
/// one does not read are ignored; gold edits that one needs and misses are DATA_INVALID.
class Scorer {
 public:
  virtual ~Scorer() = default;
  virtual const Model& base() const = 0;
  virtual TokenScores score(const PairRows& batch, const RowNotes& notes, JobContext& context) const = 0;
  /// Teacher-forced logits at target positions, [N, V]; what compare() takes KL over.
  virtual at::Tensor targetLogits(const PairRows& batch, const RowNotes& notes,
                                  JobContext& context) const = 0;
  virtual Generation generate(const TokenRows& source, const RowNotes& notes, const GenerateOptions& options,
                              JobContext& context) const = 0;
  /// generate() and score() of the same rows, to the same bits. What encodes does so once.
  virtual Replies answer(const PairRows& batch, const RowNotes& notes, const GenerateOptions& options,
                         JobContext& context) const;
  /// What making it took and found; empty for scorers that are made in one go.
  virtual Figures editFigures() const { return {}; }

  TokenScores score(const PairRows& batch, JobContext& context) const { return score(batch, {}, context); }
  at::Tensor targetLogits(const PairRows& batch, JobContext& context) const {
    return targetLogits(batch, {}, context);
  }
  Generation generate(const TokenRows& source, const GenerateOptions& options, JobContext& context) const {
    return generate(source, {}, options, context);
  }
};

/// The unedited model as a scorer.
std::shared_ptr<Scorer> baseScorer(std::shared_ptr<const Model> model);

/// KL(p_base ‖ p_edited) per target token [N], first argument = `reference` (metrics.md section 6).
std::vector<float> compareScorers(const Scorer& reference, const Scorer& edited, const PairRows& batch,
                                  const RowNotes& notes, JobContext& context);

/// The learning rate of a step.
struct StepRate {
  StepRate(double learningRate, double scheduleFactor = 1.0) : value(learningRate), factor(scheduleFactor) {}
  double value;
  double factor;  // what the schedule makes of a full rate at this step: rates of their own follow it too
};

/// n episodes of K edits each, packed: all row groups have n·K rows, episode after episode.
/// In-scope row i belongs to edit i of the same episode. `editText` is tokenised for the editor's own encoder.
/// `editPrefix` is what a counterfactual model reads before an input: an edit without the tokens that end a text.
/// Editors that read neither prefix nor views take batches without.
///
/// `regroupings` are further numbers of episodes the same rows may be seen as, in the same order: several K from one
/// encoding. Whoever packs the batch sees to it that no out-of-scope row belongs to the groups of any edit it may meet.
struct EpisodeBatch {
  int64_t episodes = 1;
  std::vector<int64_t> regroupings;
  PairRows edits;
  TokenRows editText;
  PairRows inScope;
  PairRows outScope;
  TokenRows editPrefix = {};
  RowViews inScopeViews = {};
  RowViews outScopeViews = {};
};

/// Edits to apply: rows of x_e → y_e, the edit text for the editor's encoder, a label per edit for people, the
/// prefix for editors that read one, and questions no edit is about with gold answers, of any number, for editors
/// that keep the answers to some at edit time.
struct EditRequests {
  PairRows edits;
  TokenRows editText;
  std::vector<std::string> labels;
  TokenRows editPrefix = {};
  PairRows outScope = {};
};

class Editor {
 public:
  virtual ~Editor() = default;
  virtual const std::string& kind() const = 0;
  /// A start that depends on data: sets fresh parameters from a sample of training rows, before the first step.
  /// UNSUPPORTED for editors without one and after a step. Figures tell what was found.
  virtual Figures calibrate(const EpisodeBatch& sample, JobContext& context);
  /// One optimiser step. A throw or a cancel leaves parameters and optimiser state as they were;
  /// a non-finite loss or gradient is NON_FINITE.
  virtual Figures trainStep(const EpisodeBatch& batch, StepRate rate, JobContext& context) = 0;
  /// The same losses without a step or a graph.
  virtual Figures validate(const EpisodeBatch& batch, JobContext& context) = 0;
  /// editor.json + editor.safetensors [+ optimizer.safetensors] in an existing directory, each written atomically.
  virtual void save(const std::string& directory, bool withOptimizer) const = 0;
  /// Throws CHECKPOINT_INVALID when the folder was made by another kind or other sizes; nothing changes then.
  virtual void restore(const std::string& directory, bool withOptimizer) = 0;
  /// FNV-1a over the trained weights, as 16 hex digits: ties a saved memory to the editor that made it.
  virtual std::string fingerprint() const = 0;
  virtual std::shared_ptr<Scorer> edit(const EditRequests& requests, std::shared_ptr<Scorer> onto,
                                       JobContext& context) = 0;
};

/// Builds an editor from its decoded spec: {"kind": "seprog", …}. Throws CONFIG_INVALID / UNSUPPORTED.
std::shared_ptr<Editor> makeEditor(const Json& spec, std::shared_ptr<const Model> base);

}  // namespace seprog
