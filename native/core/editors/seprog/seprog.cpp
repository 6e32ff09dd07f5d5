// The SEPROG editor: state, training step, edits. The equations stand in seprog_modules.cpp, the losses in
// seprog_losses.cpp, prediction in prefixed_scorer.cpp, what a variant changes in seprog_variant.h.
#include "seprog.h"

#include <ATen/core/grad_mode.h>

#include "../../error.h"
#include "../model_scorer.h"
#include "edit_encoder.h"
#include "edit_time_fit.h"
#include "prefixed_scorer.h"
#include "seprog_checkpoint.h"
#include "seprog_losses.h"
#include "seprog_modules.h"
#include "seprog_optimizer.h"
#include "whitened_start.h"

namespace seprog {
namespace {

class Seprog : public SeprogEditor, public std::enable_shared_from_this<Seprog> {
 public:
  Seprog(const SeprogSpec& spec, const Model& editEncoder, std::shared_ptr<const Model> model)
      : SeprogEditor("seprog", std::move(model)),
        spec_(spec),
        modules_(std::make_shared<SeprogModules>(spec, editEncoder, *base())),
        optimizer_(spec, modules_->parameters()) {}

  int64_t width() const override { return spec_.hiddenWidth; }

  Figures calibrate(const EpisodeBatch& sample, JobContext& context) override;
  Figures trainStep(const EpisodeBatch& batch, StepRate rate, JobContext& context) override;
  Figures validate(const EpisodeBatch& batch, JobContext& context) override;
  void save(const std::string& directory, bool withOptimizer) const override;
  void restore(const std::string& directory, bool withOptimizer) override;
  std::shared_ptr<Scorer> edit(const EditRequests& requests, std::shared_ptr<Scorer> onto,
                               JobContext& context) override;
  at::Tensor embed(const TokenRows& editText, JobContext& context) const override;
  std::shared_ptr<Scorer> withMemory(std::shared_ptr<EditMemory> memory, const std::string& gate) override;

 private:
  TensorTable learned() const override { return modules_->parameters(); }

  Episodes prepare(const EpisodeBatch& batch) const {
    return prepareEpisodes(batch, *base(), modules_->editEncoder(), spec_.hasClassifier());
  }

  std::shared_ptr<EditMemory> memoryBelow(const Scorer& onto, Gate& gate) const;

  /// Scorers keep the modules they were made with: training goes on with a copy of its own when one still
  /// holds them.
  void ownModules() {
    if (modules_.use_count() > 1) modules_ = std::make_shared<SeprogModules>(modules_->clone());
  }

  SeprogSpec spec_;
  std::shared_ptr<SeprogModules> modules_;
  SeprogOptimizer optimizer_;
};

Figures Seprog::calibrate(const EpisodeBatch& sample, JobContext& context) {
  if (spec_.projectionStart != ProjectionStart::Whitened || optimizer_.steps() > 0) {
    fail(ErrorCode::Unsupported,
         "expected an untrained editor with projectionStart \"whitened\" for `calibrate` but "
         "received one with " +
             std::to_string(optimizer_.steps()) + " steps and another start");
  }
  const Episodes episodes = prepare(sample);
  at::NoGradGuard noGrad;
  const Encoded x = base()->architecture->encode(base()->weights, episodes.x);
  const at::Tensor b = pool(x.h_BSD, episodes.x, spec_.basePool);
  context.checkCancelled();
  const at::Tensor bOut_RDb =
      episodes.outScope_B.defined() ? b.index_select(0, episodes.outScope_B) : b.narrow(0, 0, 0);
  WhitenedStart start = whitenedStart(*modules_, modules_->poolEdits(episodes.z),
                                      b.index_select(0, episodes.inScope_B), bOut_RDb);
  context.checkCancelled();
  // Copies: what scorers made before still hold must not change with the next step.
  modules_ = std::make_shared<SeprogModules>(modules_->with(std::move(start.parameters)).clone());
  optimizer_ = SeprogOptimizer(spec_, modules_->parameters());
  changed();
  return start.figures;
}

Figures Seprog::trainStep(const EpisodeBatch& batch, StepRate rate, JobContext& context) {
  const Episodes episodes = prepare(batch);
  ownModules();
  EpisodeLosses step = episodeLosses(*base(), modules_->tracked(), episodes, true, context);
  context.checkCancelled();
  const auto phase = context.phase("update");
  const double gradNorm = optimizer_.step(modules_->parameters(), step.gradients, rate);
  changed();
  step.figures.emplace_back("gradNorm", gradNorm);
  return step.figures;
}

Figures Seprog::validate(const EpisodeBatch& batch, JobContext& context) {
  const Episodes episodes = prepare(batch);
  return episodeLosses(*base(), *modules_, episodes, false, context).figures;
}

void Seprog::save(const std::string& directory, bool withOptimizer) const {
  if (withOptimizer) optimizer_.save(directory);
  writeCheckpoint(directory, *modules_, *base(), baseChecksum(), optimizer_.steps());
}

void Seprog::restore(const std::string& directory, bool withOptimizer) {
  auto restored =
      std::make_shared<SeprogModules>(modules_->with(readCheckpoint(directory, *modules_, baseChecksum())));
  SeprogOptimizer optimizer(spec_, restored->parameters());
  if (withOptimizer) optimizer.restore(directory);
  modules_ = std::move(restored);
  optimizer_ = std::move(optimizer);
  changed();
}

at::Tensor Seprog::embed(const TokenRows& editText, JobContext& context) const {
  at::NoGradGuard noGrad;
  const auto phase = context.phase("edit_encode");
  const Architecture& encoder = modules_->editEncoder();
  return modules_->embedEdits(pad(editText, encoder.padId(), encoder.vocabulary(), base()->device));
}

std::shared_ptr<Scorer> Seprog::withMemory(std::shared_ptr<EditMemory> memory, const std::string& gate) {
  if (gate != "scope" && gate != "always") {
    fail(ErrorCode::ConfigInvalid,
         "expected \"scope\" or \"always\" for `gate` but received \"" + gate + "\"");
  }
  if (memory->width() != width() || memory->fingerprint() != fingerprint()) {
    fail(ErrorCode::Unsupported, "expected a memory made by the editor " + fingerprint() +
                                     " for `memory` but received one made by " + memory->fingerprint() +
                                     "; add the edits anew with this editor");
  }
  if (spec_.fitsAtEdit()) {
    fail(
        ErrorCode::Unsupported,
        "expected an editor whose edits are rows of a memory for `withMemory` but received one with finetune "
        "\"edit_time\", which fits weights to the edits themselves; use `edit`");
  }
  return std::make_shared<PrefixedScorer>(base(), modules_->tuned(*base()), modules_, std::move(memory),
                                          gate == "scope" ? Gate::Scope : Gate::Always);
}

/// A copy of the memory that `onto` answers from, an empty one for the base; throws UNSUPPORTED for others.
std::shared_ptr<EditMemory> Seprog::memoryBelow(const Scorer& onto, Gate& gate) const {
  demandBase(onto, *base());
  if (isBaseScorer(onto)) return std::make_shared<EditMemory>(width(), fingerprint());
  const auto* prefixed = dynamic_cast<const PrefixedScorer*>(&onto);
  if (prefixed == nullptr) {
    fail(ErrorCode::Unsupported,
         "expected a base model or a model edited by this editor for `onto` but received another "
         "kind of edited model; SEPROG edits stand before an unchanged base, so edit the base");
  }
  if (spec_.fitsAtEdit() || prefixed->fittedAtEdit()) {
    fail(ErrorCode::Unsupported,
         "expected a base model for `onto` but received an edited one; with finetune \"edit_time\" weights "
         "are "
         "fitted to one set of edits, so give all edits in one call");
  }
  gate = prefixed->gate();
  return std::make_shared<EditMemory>(prefixed->memory());
}

std::shared_ptr<Scorer> Seprog::edit(const EditRequests& requests, std::shared_ptr<Scorer> onto,
                                     JobContext& context) {
  if (requests.labels.size() != static_cast<size_t>(requests.editText.rows())) {
    fail(ErrorCode::DataInvalid, "expected one label per edit text (" +
                                     std::to_string(requests.editText.rows()) +
                                     ") for `labels` but received " + std::to_string(requests.labels.size()));
  }
  Gate gate = Gate::Scope;
  std::shared_ptr<EditMemory> memory = memoryBelow(*onto, gate);
  if (requests.editText.rows() > 0) memory->add(requests.labels, embed(requests.editText, context));
  if (!spec_.fitsAtEdit()) return withMemory(std::move(memory), gate == Gate::Scope ? "scope" : "always");
  EditTimeFit fit = fitToEdits(*base(), *modules_, memory->embeddings_KH(), requests.edits, context);
  return std::make_shared<PrefixedScorer>(base(), std::move(fit.model), modules_, std::move(memory), gate,
                                          std::move(fit.figures));
}

}  // namespace

std::shared_ptr<SeprogEditor> makeSeprog(const Json& json, std::shared_ptr<const Model> base) {
  const SeprogSpec spec = readSeprogSpec(json);
  if (spec.promptPositions == PromptPositions::Keep && base->architecture->family() == "t5") {
    fail(ErrorCode::ConfigInvalid,
         "expected \"concat\" for `editor.promptPositions` with a base of the family \"t5\", which has no "
         "position vectors to keep, but received \"keep\"");
  }
  const Model editEncoder = spec.editEncoderDirectory.empty()
                                ? encoderOf(*base)
                                : loadEncoder(spec.editEncoderDirectory, base->device);
  return std::make_shared<Seprog>(spec, editEncoder, std::move(base));
}

}  // namespace seprog
