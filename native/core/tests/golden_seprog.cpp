// Kind `seprog_step`: every intermediate of one training step, its gradients, three Adam steps, predictions
// before them.
#include <ATen/ATen.h>

#include <string>

#include "../editors/seprog/edit_encoder.h"
#include "../editors/seprog/seprog.h"
#include "../editors/seprog/seprog_losses.h"
#include "../io/safetensors.h"
#include "golden.h"
#include "tiny.h"

namespace seprog {
namespace {

JobContext quiet;

Json specOf(const Golden& golden, const std::string& editPool, const std::string& basePool,
            const std::string& activation, const std::string& reduction) {
  const auto number = [&](const char* key) { return *golden.settings().find(key); };
  return Json::Object{
      {"kind", "seprog"},
      {"promptLength", number("p")},
      {"hiddenWidth", number("h")},
      {"lambda", number("lambda")},
      {"clipNorm", number("clip")},
      {"editPool", editPool},
      {"basePool", basePool},
      {"editActivation", activation},
      {"promptReduction", reduction},
      {"editEncoder", Json::Object{{"source", "directory"}, {"path", golden.folder() + "/edit_encoder"}}}};
}

Json specOf(const Golden& golden) { return specOf(golden, "mean", "mean", "none", "token"); }

/// A parameter's name in the fixture: an encoder's own file lacks the prefix of its family.
std::string storedName(const Golden& golden, const std::string& name) {
  if (golden.has("grad." + name)) return name;
  const std::string encoder = "edit_encoder.";
  return encoder + name.substr(name.find('.', encoder.size()) + 1);
}

struct Case {
  explicit Case(const Golden& golden)
      : base(std::make_shared<const Model>(loadModel(golden.folder() + "/base", at::kCPU))),
        encoder(loadEncoder(golden.folder() + "/edit_encoder", at::kCPU)) {
    K = golden.input("e").size(0);
    const TokenRows x = sourceRows(golden, "x", "x_types");
    batch.editText = sourceRows(golden, "e", "e_types");
    batch.inScope = {slice(x, 0, K), targetRows(golden)};
    batch.outScope.source = slice(x, K, K);
    inputs = x;
    for (const std::string& name : golden.namesWith("param."))
      parameters[name.substr(6)] = golden.input(name).clone();
    for (const auto& [name, tensor] : encoder.weights.flatten())
      parameters["edit_encoder." + name] = tensor.clone();
  }

  SeprogModules modules(const Json& spec) const {
    return SeprogModules(readSeprogSpec(spec), encoder, *base).with(parameters);
  }

  std::shared_ptr<const Model> base;
  Model encoder;
  int64_t K = 0;
  EpisodeBatch batch;
  TokenRows inputs;
  TensorTable parameters;
};

void checkForward(Golden& golden, const Case& test) {
  const SeprogModules modules = test.modules(specOf(golden));
  const Architecture& family = *test.base->architecture;
  const TokenBatch x = pad(test.inputs, family.padId(), family.vocabulary(), at::kCPU);
  const TokenBatch z = pad(test.batch.editText, test.encoder.architecture->padId(),
                           test.encoder.architecture->vocabulary(), at::kCPU);
  const Encoded encoded = family.encode(test.base->weights, x);
  const at::Tensor b = pool(encoded.h_BSD, x, Pooling::Mean);
  golden.expect("b", b);
  golden.expect("variant.b.first", pool(encoded.h_BSD, x, Pooling::First));
  golden.expect("variant.b.last", pool(encoded.h_BSD, x, Pooling::Last));
  golden.expect("q", at::linear(b, test.parameters.at("W_att")));
  const at::Tensor H = modules.embedEdits(z);
  golden.expect("H_e", H);
  golden.expect("variant.H_e.first",
                test.modules(specOf(golden, "first", "mean", "none", "token")).embedEdits(z));
  golden.expect("variant.H_e.tanh",
                test.modules(specOf(golden, "mean", "mean", "tanh", "token")).embedEdits(z));
  golden.expect("variant.H_e.relu",
                test.modules(specOf(golden, "mean", "mean", "relu", "token")).embedEdits(z));
  const CrossAttention selection = modules.select(b.unsqueeze(0), H.unsqueeze(0), {.alpha = true});
  const at::Tensor& h = selection.h_nRH;
  golden.expect("alpha", selection.alpha_nRK.squeeze(0));
  golden.expect("h", h.squeeze(0));
  golden.expect("scope_logit", modules.scopeLogit(h.squeeze(0), b));
  const at::Tensor pr = modules.prompts(h.squeeze(0));
  golden.expect("prompts", pr);
  const Targets targets = targetsFor(family, test.batch.inScope.target, at::kCPU);
  const at::Tensor rows = at::arange(test.K, at::kLong);
  golden.expect("target_logits", storedLogits(golden, "target_logits",
                                              family.targetLogits(test.base->weights, encoded.select(rows),
                                                                  targets, pr.narrow(0, 0, test.K)),
                                              targets));
}

void checkLosses(Golden& golden, const Case& test) {
  const SeprogModules modules = test.modules(specOf(golden));
  const Episodes episodes = prepareEpisodes(test.batch, *test.base, *test.encoder.architecture);
  const EpisodeLosses losses = episodeLosses(*test.base, modules.tracked(), episodes, true, quiet);
  const auto scalar = [&](const char* figure) {
    return at::scalar_tensor(tiny::figure(losses.figures, figure));
  };
  golden.expect("L", scalar("loss"));
  golden.expect("L_sc", scalar("scopeLoss"));
  golden.expect("L_pg", scalar("promptLoss"));
  EXPECT_EQ(losses.gradients.size(), test.parameters.size());
  for (const auto& [name, gradient] : losses.gradients)
    golden.expect("grad." + storedName(golden, name), gradient);
  const SeprogModules sequence = test.modules(specOf(golden, "mean", "mean", "none", "sequence"));
  golden.expect("L_pg_sequence",
                at::scalar_tensor(tiny::figure(
                    episodeLosses(*test.base, sequence, episodes, false, quiet).figures, "promptLoss")));
}

/// [B, columns], or [B] of class ids.
at::Tensor answersOf(const Golden& golden, const TokenRows& rows, int64_t columns, int64_t padId) {
  if (golden.has("y")) return at::tensor(at::ArrayRef<int32_t>(rows.ids)).to(at::kLong);
  return gridOf(rows, columns, padId);
}

void checkEditor(Golden& golden, const Case& test) {
  const auto editor = makeSeprog(specOf(golden), test.base);
  const tiny::Folder folder;
  editor->save(folder.path(), false);
  writeSafetensors(folder / "editor.safetensors", test.parameters);
  editor->restore(folder.path(), false);

  const GenerateOptions options{static_cast<int64_t>(golden.settings().find("max_new_tokens")->number()),
                                true};
  const int64_t padId = test.base->architecture->padId();
  const auto base = baseScorer(test.base);
  golden.expect("pred_base", answersOf(golden, base->generate(test.inputs, options, quiet).tokens,
                                       options.maxNewTokens, padId));
  const std::vector<std::string> labels(test.K, "edit");
  const auto edited = editor->edit({test.batch.edits, test.batch.editText, labels}, base, quiet);
  const Generation generation = edited->generate(test.inputs, options, quiet);
  golden.expect("pred", answersOf(golden, generation.tokens, options.maxNewTokens, padId));
  golden.expect("gate", at::tensor(at::ArrayRef<float>(generation.scope.logit)).gt(0).to(at::kLong));

  const double lr = golden.settings().find("lr")->number();
  for (int step = 0; step < 3; ++step) {
    const Figures figures = editor->trainStep(test.batch, lr, quiet);
    const std::string prefix = "step" + std::to_string(step) + ".";
    golden.expect(prefix + "L", at::scalar_tensor(tiny::figure(figures, "loss")));
    golden.expect(prefix + "grad_norm", at::scalar_tensor(tiny::figure(figures, "gradNorm")));
  }
  editor->save(folder.path(), false);
  const TensorTable after = readSafetensors(folder / "editor.safetensors").tensors;
  for (const auto& [name, tensor] : after) {
    // Adam turns a gradient that is rounding noise into a full step of either sign: such coordinates are only
    // bounded.
    const std::string stored = storedName(golden, name);
    const at::Tensor noise = golden.input("grad." + stored).abs().lt(1e-6);
    const at::Tensor& expected = golden.input("after3." + stored);
    golden.expect("after3." + stored, at::where(noise, expected, tensor));
    const at::Tensor moved = (tensor - test.parameters.at(name)).abs().masked_select(noise);
    if (moved.numel() > 0) EXPECT_LE(moved.max().item<double>(), 3.1 * lr) << name;
  }
}

}  // namespace

void checkSeprogStep(Golden& golden) {
  const Case test(golden);
  checkForward(golden, test);
  checkLosses(golden, test);
  checkEditor(golden, test);
}

}  // namespace seprog
