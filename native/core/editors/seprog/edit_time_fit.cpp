#include "edit_time_fit.h"

#include "../../tensor/narrow.h"
#include "../../train/inner_fit.h"

namespace seprog {

EditTimeFit fitToEdits(const Model& base, const SeprogModules& modules, const at::Tensor& H_KH,
                       const PairRows& edits, JobContext& context) {
  if (edits.rows() == 0) return {base, {}};
  const SeprogSpec& spec = modules.spec();
  const at::Tensor H_1KH = H_KH.to(base.device).unsqueeze(0);
  const auto promptOf = [&](const Encoded& encoded) {
    const at::Tensor b_BDb = pool(encoded.h_BSD, encoded.source, spec.basePool);
    return modules.promptOf(modules.prompts(modules.select(b_BDb.unsqueeze(0), H_1KH).h_nRH.squeeze(0)));
  };
  const auto withWeights = [&](const TensorTable& edited) {
    return Model{base.architecture, base.weights.with(edited), base.device};
  };
  TensorTable start;
  for (const std::string& name : tunedWeights(spec, base)) start.emplace(name, inFp32(base.weights.at(name)));
  InnerFitOptions options;
  options.maxSteps = spec.finetuneSteps;
  options.learningRate = spec.finetuneLearningRate;
  InnerFit fit = innerFit(
      start, options,
      [&](const TensorTable& edited, bool withGradients) {
        return editLoss(withWeights(edited), edited, edits, promptOf, withGradients, context);
      },
      context);
  return {withWeights(fit.edited), std::move(fit.figures)};
}

}  // namespace seprog
