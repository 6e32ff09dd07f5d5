// Every family on the device against the CPU: logits, gradients, second derivatives, decoding.
#include <torch/csrc/autograd/autograd.h>

#include <vector>

#include "core/decode/generate.h"
#include "core/tests/tiny.h"
#include "device_under_test.h"

namespace seprog::gpu {
namespace {

using tiny::with;

struct Subject {
  const char* name;
  Json config;
};

void PrintTo(const Subject& subject, std::ostream* out) { *out << subject.name; }

std::vector<Subject> subjects() {
  return {{"t5", tiny::config()},
          {"t5_gated",
           with(tiny::config(), R"({"feed_forward_proj": "gated-gelu", "tie_word_embeddings": false})")},
          {"bart", with(tiny::bartConfig(), R"({"init_std": 0.2})")},
          {"gpt2", with(tiny::gpt2Config(), R"({"initializer_range": 0.2})")},
          {"bert", with(tiny::bertConfig(), R"({"initializer_range": 0.2})")},
          {"distilbert", with(tiny::distilbertConfig(), R"({"initializer_range": 0.2})")}};
}

class GpuFamilies : public testing::TestWithParam<Subject> {
 protected:
  static constexpr int64_t kRows = 9;

  Model model(const c10::Device& where) const { return createModel(GetParam().config, 5, where); }
  PairRows rows() const {
    Random random(11);
    PairRows pairs = tiny::pairs(random, kRows);
    const auto family = makeArchitecture(GetParam().config);
    if (family->answerKind() == AnswerKind::Label)
      pairs.target = tiny::classes(random, kRows, family->targetVocabulary());
    return pairs;
  }
  at::Tensor logits(const Model& on, const Weights& weights, const Prompt& prompt) const {
    const Architecture& family = *on.architecture;
    const PairRows asked = rows();
    const TokenBatch source = pad(asked.source, family.padId(), family.vocabulary(), on.device);
    return family.targetLogits(weights, family.encode(weights, source),
                               targetsFor(family, asked.target, on.device), prompt);
  }
  at::Tensor promptRows(const Architecture& family) const {
    return Random(3, "prompt").normalTensor({kRows, 3, family.embeddingWidth()}, 0, 1);
  }
};
INSTANTIATE_TEST_SUITE_P(Families, GpuFamilies, testing::ValuesIn(subjects()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(GpuFamilies, LogitsWithAndWithoutAPrompt) {
  const Model here = model(at::kCPU), far = model(device());
  const at::Tensor prompt = promptRows(*here.architecture);
  expectNear(logits(far, far.weights, {}), logits(here, here.weights, {}), 1e-4, "no prompt");
  expectNear(logits(far, far.weights, {there(prompt)}), logits(here, here.weights, {prompt}), 1e-4, "prompt");
}

TEST_P(GpuFamilies, GradientsForThePromptAndForEditedMatricesAndTheirGradients) {
  const auto gradients = [&](const Model& on) {
    const Architecture& family = *on.architecture;
    TensorTable leaves;
    std::vector<at::Tensor> inputs;
    for (const std::string& name : family.editableWeights()) {
      inputs.push_back(on.weights.at(name).detach().clone().requires_grad_());
      leaves.emplace(name, inputs.back());
    }
    inputs.push_back(promptRows(family).to(on.device).requires_grad_());
    const at::Tensor all = logits(on, on.weights.with(leaves), {inputs.back()});
    const auto first = torch::autograd::grad({at::log_softmax(all, 1).pow(2).mean()}, inputs, {}, true, true);
    at::Tensor norm = at::zeros({}, all.options());
    for (const at::Tensor& gradient : first) norm = norm + gradient.pow(2).sum();
    auto both = torch::autograd::grad({norm}, inputs);
    both.insert(both.end(), first.begin(), first.end());
    return both;
  };
  const auto got = gradients(model(device())), wanted = gradients(model(at::kCPU));
  ASSERT_EQ(got.size(), wanted.size());
  for (size_t i = 0; i < got.size(); ++i) {
    const double largest = wanted[i].abs().max().item<double>();
    expectNear(got[i].cpu() / (largest + 1e-12), wanted[i] / (largest + 1e-12), 1e-3,
               "gradient " + std::to_string(i));
  }
}

TEST_P(GpuFamilies, AnswersOfGreedyDecodingAndOfSampling) {
  const auto answers = [&](const Model& on, const Prompt& prompt, const GenerateOptions& options) {
    const Architecture& family = *on.architecture;
    const TokenBatch source = pad(rows().source, family.padId(), family.vocabulary(), on.device);
    JobContext context;
    return generateTokens(family, on.weights, family.encode(on.weights, source), prompt, options, context);
  };
  const Model here = model(at::kCPU), far = model(device());
  const at::Tensor prompt = promptRows(*here.architecture);
  for (const GenerateOptions& options :
       {GenerateOptions{6, true}, GenerateOptions{6, true, Sampling{17, 0.8}}}) {
    EXPECT_EQ(answers(far, {}, options).ids, answers(here, {}, options).ids);
    EXPECT_EQ(answers(far, {there(prompt)}, options).ids, answers(here, {prompt}, options).ids);
  }
}

}  // namespace
}  // namespace seprog::gpu
