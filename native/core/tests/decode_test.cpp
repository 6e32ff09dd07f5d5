// Decoding of every family that writes text, behind prefixes of no, one and 32 rows: each step against a whole teacher-forced
// pass, with either kernels, with rows that leave.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <ostream>

#include "core/decode/generate.h"
#include "core/ops/kernels.h"
#include "core/tensor/matmul_backend.h"
#include "tiny.h"

namespace seprog {
namespace {

constexpr int64_t kTokens = 12;  // beyond the room that a cache begins with

struct DecodeCase {
  const char* family;
  Json (*config)();
  double gain;
  int64_t prompts, rows;
};

void PrintTo(const DecodeCase& one, std::ostream* out) {
  *out << one.family << ", " << one.prompts << " prompt rows, " << one.rows << " rows";
}

Json longBart() { return tiny::with(tiny::bartConfig(), R"({"max_position_embeddings": 80})"); }
Json longGpt2() { return tiny::with(tiny::gpt2Config(), R"({"n_positions": 80})"); }

std::vector<DecodeCase> cases() {
  std::vector<DecodeCase> all;
  for (const int64_t prompts : {0, 1, 32}) {
    for (const int64_t rows : {1, 7}) {
      all.push_back({"t5", tiny::config, 1.5, prompts, rows});
      all.push_back({"bart", longBart, 10, prompts, rows});
      all.push_back({"gpt2", longGpt2, 10, prompts, rows});
    }
  }
  return all;
}

class Decoding : public testing::TestWithParam<DecodeCase> {
 protected:
  Decoding() {
    chooseMatmulBackend();  // as the engine does: the guarantees are about the products that really run
    TensorTable table;
    const Model fresh = createModel(GetParam().config(), 5, at::kCPU);
    for (const auto& [name, tensor] : fresh.weights.flatten()) {
      const bool positions = name.find("relative_attention_bias") != std::string::npos;
      table[name] = tensor.dim() == 2 ? tensor * (positions ? 4.0 : GetParam().gain) : tensor;
    }
    model = {fresh.architecture, Weights(table)};
    Random random(11);
    const TokenBatch source =
        pad(tiny::rows(random, GetParam().rows, 2, 7), 0, family().vocabulary(), at::kCPU);
    encoded = family().encodeForAnswers(model.weights, source);
    if (GetParam().prompts > 0) {
      prompt.rows_BPD =
          random.normalTensor({GetParam().rows, GetParam().prompts, family().embeddingWidth()}, 0, 1);
    }
  }
  const Architecture& family() const { return *model.architecture; }
  std::unique_ptr<DecodeState> start() const { return family().startDecode(model.weights, encoded, prompt); }
  TokenRows answers() const {
    JobContext context;
    return generateTokens(family(), model.weights, encoded, prompt, {kTokens, false}, context);
  }

  const at::NoGradGuard frozen;
  Model model;
  Encoded encoded;
  Prompt prompt;
};
INSTANTIATE_TEST_SUITE_P(Families, Decoding, testing::ValuesIn(cases()), [](const auto& info) {
  return std::string(info.param.family) + "_" + std::to_string(info.param.prompts) + "_" +
         std::to_string(info.param.rows);
});

TEST_P(Decoding, StepsAreThoseOfAWholePass) {
  const TokenRows answer = answers();
  const Targets given = targetsFor(family(), answer, at::kCPU);
  const at::Tensor whole_RTV =
      family().targetLogits(model.weights, encoded, given, prompt).view({GetParam().rows, kTokens, -1});
  const auto state = start();
  for (int64_t t = 0; t < kTokens; ++t) {
    const at::Tensor step_RV = t == 0 ? state->first() : state->next(given.tokens.ids_BS.select(1, t - 1));
    EXPECT_TRUE(at::allclose(step_RV, whole_RTV.select(1, t), 1e-4, 1e-4)) << "token " << t;
  }
}

TEST_P(Decoding, BothKernelsGiveTheSameTokens) {
  const TokenRows fused = answers();
  useKernels(Kernels::Reference);
  const TokenRows reference = answers();
  useKernels(Kernels::Fused);
  EXPECT_EQ(fused.ids, reference.ids);
}

/// Rows leave one after the other, in no order; whoever stays gets the bits it would have got.
TEST_P(Decoding, RowsThatLeaveChangeNoBitOfTheOthers) {
  const auto all = start(), fewer = start();
  at::Tensor ids_R = all->first().argmax(1);
  fewer->first();
  at::Tensor kept_S = at::arange(GetParam().rows, at::kLong);
  for (int64_t t = 1; t < kTokens; ++t) {
    if (kept_S.size(0) > 1) {
      const int64_t leaves = t * 5 % kept_S.size(0);
      const at::Tensor stay = at::cat({at::arange(leaves), at::arange(leaves + 1, kept_S.size(0))});
      fewer->keep(stay);
      kept_S = kept_S.index_select(0, stay);
    }
    const at::Tensor logits_RV = all->next(ids_R);
    EXPECT_TRUE(at::equal(fewer->next(ids_R.index_select(0, kept_S)), logits_RV.index_select(0, kept_S)))
        << "token " << t;
    ids_R = logits_RV.argmax(1);
  }
}

}  // namespace
}  // namespace seprog
