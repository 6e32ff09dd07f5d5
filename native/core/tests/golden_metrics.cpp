// Kind `metrics`: losses and divergences of given logits as the published code computes them. Averages over steps and
// early stopping are TypeScript's (test/golden/metrics.test.ts). B rows, T columns, N labelled tokens, V vocabulary.
#include <ATen/ATen.h>

#include <cmath>
#include <string>
#include <vector>

#include "../editors/serac/scope_classifier.h"
#include "../train/losses.h"
#include "../train/token_kl.h"
#include "golden.h"

namespace seprog {
namespace {

/// Logits taken for states: a head that changes nothing.
Head identity(int64_t V) { return {at::eye(V), 1, {}}; }

struct Labelled {
  at::Tensor rows_N;  // places among the B·T positions
  Targets targets;
};

Labelled labelled(const at::Tensor& labels_BT, int64_t V) {
  Labelled all;
  all.rows_N = labels_BT.flatten().ne(-100).nonzero().squeeze(1);
  all.targets = makeTargets(rowsOfLabels(labels_BT), 0, V, at::kCPU);
  return all;
}

at::Tensor at(const at::Tensor& logits_BTV, const at::Tensor& rows_N) {
  return logits_BTV.flatten(0, 1).index_select(0, rows_N);
}

/// The figures that one set of labels gives.
void expectScores(Golden& golden, const std::string& prefix, const at::Tensor& logits_BTV,
                  const at::Tensor& labels_BT) {
  const int64_t V = logits_BTV.size(2);
  const Labelled all = labelled(labels_BT, V);
  const TokenLosses losses = tokenNll(at(logits_BTV, all.rows_N), identity(V), all.targets.labels_N);
  const at::Tensor logProb = losses.logProb_N.mean();
  golden.expect(prefix + "nll", -logProb);
  golden.expect(prefix + "log_prob", logProb);
  golden.expect(prefix + "prob", losses.logProb_N.exp().mean());
  golden.expect(prefix + "acc", at::scalar_tensor(static_cast<float>(countRightRows(losses, all.targets)) /
                                                  static_cast<float>(labels_BT.size(0))));
  if (golden.has(prefix + "n_tokens")) {
    golden.expect(prefix + "n_tokens", at::scalar_tensor(static_cast<float>(all.rows_N.size(0))));
  }
  if (golden.has(prefix + "official_serac_prob")) {  // the other reading: exp of the mean
    golden.expect(prefix + "official_serac_prob", logProb.exp());
  }
}

/// Mean of KL(before ‖ after) at these positions.
void expectKl(Golden& golden, const std::string& name, const at::Tensor& before_BTV,
              const at::Tensor& after_BTV, const at::Tensor& rows_N) {
  const Head head = identity(before_BTV.size(2));
  golden.expect(name, tokenKl(at(before_BTV, rows_N), head, at(after_BTV, rows_N), head).mean());
}

/// Share of rows whose arg-max is the same before and after at all labelled positions.
void expectRetain(Golden& golden, const std::string& name, const at::Tensor& before_BTV,
                  const at::Tensor& after_BTV, const at::Tensor& labels_BT) {
  const int64_t V = before_BTV.size(2);
  Labelled all = labelled(labels_BT, V);
  const auto answers = [&](const at::Tensor& logits_BTV) {
    return tokenNll(at(logits_BTV, all.rows_N), identity(V), all.targets.labels_N);
  };
  all.targets.labels_N = answers(before_BTV).argmax_N;
  golden.expect(name, at::scalar_tensor(static_cast<float>(countRightRows(answers(after_BTV), all.targets)) /
                                        static_cast<float>(labels_BT.size(0))));
}

/// One logit as this package has it: two classes with logits 0 and ℓ.
at::Tensor twoClasses(const at::Tensor& logit_B1) {
  return at::cat({at::zeros_like(logit_B1), logit_B1}, 1).unsqueeze(1);
}

/// mean over positives of −ln s + mean over negatives of −ln(1 − s).
at::Tensor balancedLoss(const at::Tensor& logS_B, const at::Tensor& positive_B) {
  const at::Tensor positive = positive_B.ne(0);
  return -logS_B.masked_select(positive).mean() - logComplement(logS_B.masked_select(~positive)).mean();
}

}  // namespace

void checkMetrics(Golden& golden) {
  for (int i = 0; golden.has("seq" + std::to_string(i) + ".in.post"); ++i) {
    const std::string prefix = "seq" + std::to_string(i) + ".";
    const at::Tensor before = golden.input(prefix + "in.pre"), after = golden.input(prefix + "in.post");
    const at::Tensor labels = golden.input(prefix + "in.labels");
    expectScores(golden, prefix + "noshift.", after, labels);
    const int64_t columns = labels.size(1) - 1;
    expectScores(golden, prefix + "shift.", after.narrow(1, 0, columns), labels.narrow(1, 1, columns));
    const at::Tensor mask = golden.input(prefix + "in.mask").flatten().nonzero().squeeze(1);
    expectKl(golden, prefix + "kl", before, after, mask);
    expectRetain(golden, prefix + "retain", before, after, labels);
  }
  for (int i = 0; golden.has("bin" + std::to_string(i) + ".in.post"); ++i) {
    const std::string prefix = "bin" + std::to_string(i) + ".";
    const at::Tensor before = twoClasses(golden.input(prefix + "in.pre")),
                     after = twoClasses(golden.input(prefix + "in.post"));
    const at::Tensor labels = golden.input(prefix + "in.labels");
    // A logit of exactly 0 is class 0 here and wrong for both labels there; the case has it with label 1 alone.
    expectScores(golden, prefix, after, labels);
    expectKl(golden, prefix + "kl", before, after, at::arange(labels.size(0)));
    expectRetain(golden, prefix + "retain", before, after, labels);
    // There 1 − s is taken of a rounded s, which may be 1; here it keeps its digits.
    const at::Tensor logS = golden.input(prefix + "in.log_sims");
    golden.expect(prefix + "balanced_bce",
                  balancedLoss(logS.exp().log(), golden.input(prefix + "in.sim_labels")));
    EXPECT_NEAR(logComplement(at::full({1}, -1e-9F)).item<double>(), std::log(1e-9), 1e-5);
  }
  for (const char* name : {"avg.nll", "avg.perplexity", "avg.acc_unweighted"}) golden.markChecked(name);
}

}  // namespace seprog
