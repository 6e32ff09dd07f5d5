// The SEPROG editor: state, training step, checkpoints, edits. The equations stand in seprog_modules.cpp, the
// losses in seprog_losses.cpp, prediction in prefixed_scorer.cpp.
#include "seprog.h"

#include <ATen/core/grad_mode.h>

#include <cinttypes>
#include <cstdio>

#include "../../error.h"
#include "../../io/atomic_file.h"
#include "../../io/safetensors.h"
#include "../../train/losses.h"
#include "../../train/optimizer.h"
#include "../base_scorer.h"
#include "edit_encoder.h"
#include "prefixed_scorer.h"
#include "seprog_losses.h"
#include "seprog_modules.h"
#include "whitened_start.h"

namespace seprog {
namespace {

std::string hex(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016" PRIx64, value);
  return text;
}

class Seprog : public SeprogEditor, public std::enable_shared_from_this<Seprog> {
 public:
  Seprog(const SeprogSpec& spec, const Model& editEncoder, std::shared_ptr<const Model> base)
      : kind_("seprog"),
        spec_(spec),
        base_(std::move(base)),
        modules_(std::make_shared<SeprogModules>(spec, editEncoder, *base_)),
        adam_(spec.optimizer, modules_->parameters()) {}

  const std::string& kind() const override { return kind_; }
  int64_t width() const override { return spec_.hiddenWidth; }

  Figures calibrate(const EpisodeBatch& sample, JobContext& context) override;
  Figures trainStep(const EpisodeBatch& batch, double learningRate, JobContext& context) override;
  Figures validate(const EpisodeBatch& batch, JobContext& context) override;
  void save(const std::string& directory, bool withOptimizer) const override;
  void restore(const std::string& directory, bool withOptimizer) override;
  std::string fingerprint() const override;
  std::shared_ptr<Scorer> edit(const EditRequests& requests, std::shared_ptr<Scorer> onto,
                               JobContext& context) override;
  at::Tensor embed(const TokenRows& editText, JobContext& context) const override;
  std::shared_ptr<Scorer> withMemory(std::shared_ptr<EditMemory> memory, const std::string& gate) override;

 private:
  /// Scorers keep the modules they were made with: training goes on with a copy of its own when one still
  /// holds them.
  void ownModules() {
    if (modules_.use_count() > 1) modules_ = std::make_shared<SeprogModules>(modules_->clone());
  }

  const std::string& baseChecksum() const {
    if (baseChecksum_.empty()) baseChecksum_ = hex(base_->weights.checksum());
    return baseChecksum_;
  }

  std::string kind_;
  SeprogSpec spec_;
  std::shared_ptr<const Model> base_;
  std::shared_ptr<SeprogModules> modules_;
  Adam adam_;
  mutable std::string fingerprint_;   // of the present parameters; empty: not computed since the last change
  mutable std::string baseChecksum_;  // empty: not computed yet
};

Figures Seprog::calibrate(const EpisodeBatch& sample, JobContext& context) {
  if (spec_.projectionStart != ProjectionStart::Whitened || adam_.steps() > 0) {
    fail(ErrorCode::Unsupported,
         "expected an untrained editor with projectionStart \"whitened\" for `calibrate` but "
         "received one with " +
             std::to_string(adam_.steps()) + " steps and another start");
  }
  const Episodes episodes = prepareEpisodes(sample, *base_, modules_->editEncoder());
  at::NoGradGuard noGrad;
  const Encoded x = base_->architecture->encode(base_->weights, episodes.x);
  const at::Tensor b = pool(x.h_BSD, episodes.x, spec_.basePool);
  context.checkCancelled();
  WhitenedStart start =
      whitenedStart(*modules_, modules_->poolEdits(episodes.z), b.index_select(0, episodes.inScope_B),
                    b.index_select(0, episodes.outScope_B));
  context.checkCancelled();
  // Copies: what scorers made before still hold must not change with the next step.
  modules_ = std::make_shared<SeprogModules>(modules_->with(std::move(start.parameters)).clone());
  adam_ = Adam(spec_.optimizer, modules_->parameters());
  fingerprint_.clear();
  return start.figures;
}

Figures Seprog::trainStep(const EpisodeBatch& batch, double learningRate, JobContext& context) {
  const Episodes episodes = prepareEpisodes(batch, *base_, modules_->editEncoder());
  ownModules();
  EpisodeLosses step = episodeLosses(*base_, modules_->tracked(), episodes, true, context);
  context.checkCancelled();
  const auto phase = context.phase("update");
  const double gradNorm = demandFinite(globalNorm(step.gradients), "gradNorm");
  adam_.step(modules_->parameters(), step.gradients, learningRate, clipFactor(gradNorm, spec_.clipNorm));
  fingerprint_.clear();
  step.figures.emplace_back("gradNorm", gradNorm);
  return step.figures;
}

Figures Seprog::validate(const EpisodeBatch& batch, JobContext& context) {
  const Episodes episodes = prepareEpisodes(batch, *base_, modules_->editEncoder());
  return episodeLosses(*base_, *modules_, episodes, false, context).figures;
}

void Seprog::save(const std::string& directory, bool withOptimizer) const {
  writeSafetensors(directory + "/editor.safetensors", modules_->parameters(), {{"format", "pt"}});
  if (withOptimizer) adam_.save(directory + "/optimizer.safetensors");
  const Json description = Json::Object{
      {"kind", kind_},
      {"spec", resolvedSpec(spec_)},
      {"sizes", Json::Object{{"baseWidth", base_->architecture->hiddenWidth()},
                             {"embeddingWidth", base_->architecture->embeddingWidth()},
                             {"editEncoderWidth", modules_->editEncoder().hiddenWidth()},
                             {"parameters", Weights(modules_->parameters()).parameterCount()}}},
      {"editEncoderConfig", modules_->editEncoder().config()},
      {"baseChecksum", baseChecksum()},
      {"steps", adam_.steps()},
  };
  writeFileAtomic(directory + "/editor.json", description.dump() + "\n");
}

void Seprog::restore(const std::string& directory, bool withOptimizer) {
  const std::string jsonPath = directory + "/editor.json";
  Json description;
  try {
    description = Json::parse(readFile(jsonPath));
  } catch (const Error& error) {
    fail(ErrorCode::CheckpointInvalid,
         "expected an editor description for `" + jsonPath + "`: " + error.what());
  }
  const auto demandEntry = [&](const char* key, const std::string& expected) {
    const Json* found = description.find(key);
    const std::string received = found == nullptr    ? "nothing"
                                 : found->isString() ? found->string()
                                                     : found->dump();
    if (received != expected) {
      fail(ErrorCode::CheckpointInvalid, "expected \"" + expected + "\" for `" + key + "` in " + jsonPath +
                                             " but received \"" + received + "\"");
    }
  };
  demandEntry("kind", kind_);
  demandEntry("baseChecksum", baseChecksum());

  const std::string path = directory + "/editor.safetensors";
  SafetensorsFile file = readSafetensors(path);
  TensorTable parameters;
  for (const auto& [name, present] : modules_->parameters()) {
    const auto found = file.tensors.find(name);
    if (found == file.tensors.end() || found->second.sizes() != present.sizes() ||
        found->second.scalar_type() != at::kFloat) {
      fail(ErrorCode::CheckpointInvalid,
           "expected a float32 tensor of " + std::to_string(present.numel()) + " elements for `" + name +
               "` in " + path + " but received another or none; was it trained with other sizes?");
    }
    parameters.emplace(name, found->second.to(base_->device, at::kFloat, false, true).contiguous());
  }
  if (file.tensors.size() != parameters.size()) {
    fail(ErrorCode::CheckpointInvalid, "expected " + std::to_string(parameters.size()) + " tensors in " +
                                           path + " but received " + std::to_string(file.tensors.size()));
  }
  auto restored = std::make_shared<SeprogModules>(modules_->with(std::move(parameters)));
  Adam adam(spec_.optimizer, restored->parameters());
  if (withOptimizer) adam.restore(directory + "/optimizer.safetensors");
  modules_ = std::move(restored);
  adam_ = std::move(adam);
  fingerprint_.clear();
}

std::string Seprog::fingerprint() const {
  if (fingerprint_.empty()) fingerprint_ = hex(Weights(modules_->parameters()).checksum());
  return fingerprint_;
}

at::Tensor Seprog::embed(const TokenRows& editText, JobContext& context) const {
  at::NoGradGuard noGrad;
  const auto phase = context.phase("edit_encode");
  const Architecture& encoder = modules_->editEncoder();
  return modules_->embedEdits(pad(editText, encoder.padId(), encoder.vocabulary(), base_->device));
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
  return std::make_shared<PrefixedScorer>(base_, modules_, std::move(memory),
                                          gate == "scope" ? Gate::Scope : Gate::Always);
}

std::shared_ptr<Scorer> Seprog::edit(const EditRequests& requests, std::shared_ptr<Scorer> onto,
                                     JobContext& context) {
  if (requests.labels.size() != static_cast<size_t>(requests.editText.rows())) {
    fail(ErrorCode::DataInvalid, "expected one label per edit text (" +
                                     std::to_string(requests.editText.rows()) +
                                     ") for `labels` but received " + std::to_string(requests.labels.size()));
  }
  if (&onto->base() != base_.get() && hex(onto->base().weights.checksum()) != baseChecksum()) {
    fail(ErrorCode::Unsupported,
         "expected a scorer of the base model this editor was made for but received one of "
         "another model; make an editor for that model");
  }
  std::shared_ptr<EditMemory> memory;
  Gate gate = Gate::Scope;
  if (const auto* prefixed = dynamic_cast<const PrefixedScorer*>(onto.get())) {
    memory = std::make_shared<EditMemory>(prefixed->memory());
    gate = prefixed->gate();
  } else if (isBaseScorer(*onto)) {
    memory = std::make_shared<EditMemory>(width(), fingerprint());
  } else {
    fail(ErrorCode::Unsupported,
         "expected a base model or a model edited by this editor for `onto` but received another "
         "kind of edited model; SEPROG edits stand before an unchanged base, so edit the base");
  }
  if (requests.editText.rows() > 0) memory->add(requests.labels, embed(requests.editText, context));
  return withMemory(std::move(memory), gate == Gate::Scope ? "scope" : "always");
}

}  // namespace

std::shared_ptr<SeprogEditor> makeSeprog(const Json& json, std::shared_ptr<const Model> base) {
  const SeprogSpec spec = readSeprogSpec(json);
  const Model editEncoder = spec.editEncoderDirectory.empty()
                                ? encoderOf(*base)
                                : loadEncoder(spec.editEncoderDirectory, base->device);
  return std::make_shared<Seprog>(spec, editEncoder, std::move(base));
}

}  // namespace seprog
