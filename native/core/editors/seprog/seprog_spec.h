// The decoded options of a SEPROG editor. Decision numbers [Rn] are those of the method's specification.
#pragma once

#include <cstdint>
#include <string>

#include "../../json.h"
#include "../../models/model.h"
#include "../../train/optimizer.h"

namespace seprog {

enum class EditActivation { None, Tanh, Relu };
enum class ProjectionStart { Default, Whitened };
enum class PromptReduction { Token, Sequence };

struct SeprogSpec {
  uint64_t seed = 0;
  int64_t promptLength = 32;  // p
  int64_t hiddenWidth = 768;  // h
  Pooling editPool = Pooling::Mean;
  Pooling basePool = Pooling::Mean;
  EditActivation editActivation = EditActivation::None;
  ProjectionStart projectionStart = ProjectionStart::Default;  // of W_att, W_o and the first layer of NN_e
  int64_t scopeLayers = 3;                                     // linear layers of NN_e
  double lambda = 0.3;
  PromptReduction promptReduction = PromptReduction::Token;
  double promptInitScale = 1.0;
  int64_t frequentIds = 5000;
  double clipNorm = 5.0;
  AdamOptions optimizer;
  std::string editEncoderDirectory;  // empty: the base's own encoder
};

/// Throws CONFIG_INVALID naming the option.
SeprogSpec readSeprogSpec(const Json& spec);

/// What editor.json keeps of the spec: every option that shapes the weights or their meaning, defaults filled in.
Json resolvedSpec(const SeprogSpec& spec);

}  // namespace seprog
