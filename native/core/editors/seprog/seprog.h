// SEPROG: edits are rows of a memory, an input attends over them, a scope classifier decides, a prompt is generated.
// Source: seprog.md; equation and decision numbers [Rn] stand beside the lines of seprog.cpp.
#pragma once

#include <memory>

#include "../../memory/edit_memory.h"
#include "../trained.h"

namespace seprog {

class SeprogEditor : public TrainedEditor {
 public:
  /// Embeds edit texts (no gradient): [K, H]. What EditMemory stores.
  virtual at::Tensor embed(const TokenRows& editText, JobContext& context) const = 0;
  virtual int64_t width() const = 0;
  /// A live view: later changes of `memory` are seen by the next call. An empty memory answers as the base.
  /// gate: "scope" (e(x) > 0.5) or "always" (every row is prompted).
  virtual std::shared_ptr<Scorer> withMemory(std::shared_ptr<EditMemory> memory, const std::string& gate) = 0;

 protected:
  using TrainedEditor::TrainedEditor;
};

/// Spec keys (all but kind have defaults): kind, seed, promptLength 32, hiddenWidth 768, editPool mean|first, basePool
/// mean|first|last, editActivation none|tanh|relu, projectionStart default|whitened, scopeHead three_layer|two_layer,
/// lambda 0.3, promptReduction token|sequence, promptInitScale 1, frequentIds 5000, promptPositions concat|keep,
/// clipNorm 5, optimizer {beta1 .9, beta2 .999, epsilon 1e-8}, editEncoder {source: "base"} or {source: "directory",
/// path}; variant seprog|finetune|noclassifier|noselect|oraclegate|oracleedit|softgate|noatt and, of finetune, finetune
/// joint|edit_time, finetuneParameters last2|all, finetuneLearningRate 1e-5, finetuneSteps 100. Throws CONFIG_INVALID,
/// also for promptPositions keep with a base that has no position vectors.
std::shared_ptr<SeprogEditor> makeSeprog(const Json& spec, std::shared_ptr<const Model> base);

}  // namespace seprog
