// The decoded options of a SEPROG editor. Decision numbers [Rn] are those of the method's specification.
#pragma once

#include <cstdint>
#include <string>

#include "../../json.h"
#include "../../models/model.h"
#include "../../train/optimizer.h"
#include "seprog_variant.h"

namespace seprog {

enum class EditActivation { None, Tanh, Relu };
enum class ProjectionStart { Default, Whitened };
enum class PromptReduction { Token, Sequence };

struct SeprogSpec {
  uint64_t seed = 0;
  Variant variant = Variant::Seprog;
  Finetune finetune = Finetune::Joint;  // of the variant Finetune, like all that begins so
  FinetuneParameters finetuneParameters = FinetuneParameters::Last2;
  double finetuneLearningRate = 1e-5;
  int64_t finetuneSteps = 100;  // at most, at edit time
  int64_t promptLength = 32;    // p
  int64_t hiddenWidth = 768;    // h
  Pooling editPool = Pooling::Mean;
  Pooling basePool = Pooling::Mean;
  EditActivation editActivation = EditActivation::None;
  ProjectionStart projectionStart = ProjectionStart::Default;  // of W_att, W_o and the first layer of NN_e
  int64_t scopeLayers = 3;                                     // linear layers of NN_e
  double lambda = 0.3;
  PromptReduction promptReduction = PromptReduction::Token;
  double promptInitScale = 1.0;
  int64_t frequentIds = 5000;
  PromptPositions promptPositions = PromptPositions::Concat;
  double clipNorm = 5.0;
  AdamOptions optimizer;
  std::string editEncoderDirectory;  // empty: the base's own encoder

  bool hasClassifier() const { return variant != Variant::NoClassifier; }
  bool hasAttention() const { return variant != Variant::NoAtt; }
  /// Base matrices are parameters of the editor.
  bool tunesBase() const { return variant == Variant::Finetune && finetune == Finetune::Joint; }
  /// Base matrices are fitted to every set of edits.
  bool fitsAtEdit() const { return variant == Variant::Finetune && finetune == Finetune::EditTime; }
  bool needsGoldEdits() const { return variant == Variant::OracleGate || variant == Variant::OracleEdit; }
  /// What L_pg weighs in the total loss; alone it keeps its size (ablations.md section 3).
  double promptWeight() const { return hasClassifier() ? 1.0 - lambda : 1.0; }
  /// The variant whose training gives these weights: variants of one such share their checkpoints.
  Variant trainedAs() const;
  std::string variantName() const { return variantNames()[static_cast<size_t>(variant)]; }
};

/// Throws CONFIG_INVALID naming the option.
SeprogSpec readSeprogSpec(const Json& spec);

/// What editor.json keeps of the spec: every option that shapes the weights or their meaning, defaults filled
/// in. `variant` is the one they are trained as.
Json resolvedSpec(const SeprogSpec& spec);

}  // namespace seprog
