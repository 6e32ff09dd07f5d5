// Kind `serac`: the numbers of the published code. Of a fact-checking case `official_` drops the labels of the edits,
// `spec_` writes them as True and False (serac.md section 1): the same computation on other texts.
#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "../editors/model_scorer.h"
#include "../editors/serac/routed_scorer.h"
#include "../editors/serac/scope_classifier.h"
#include "../editors/serac/serac.h"
#include "../editors/serac/serac_losses.h"
#include "golden.h"
#include "tiny.h"

namespace seprog {
namespace {

JobContext quiet;

std::vector<TokenRows> split(const TokenRows& rows) {
  std::vector<TokenRows> single;
  for (int64_t b = 0; b < rows.rows(); ++b) single.push_back(slice(rows, b, 1));
  return single;
}

TokenRows joined(const std::vector<TokenRows>& single) {
  TokenRows rows;
  for (const TokenRows& row : single) {
    rows.ids.insert(rows.ids.end(), row.ids.begin(), row.ids.end());
    rows.lengths.push_back(row.lengths.front());
  }
  return rows;
}

TokenRows part(const TokenRows& row, int64_t first, int64_t count) {
  return {{row.ids.begin() + first, row.ids.begin() + first + count}, {static_cast<int32_t>(count)}};
}

/// One set of texts of a case, taken apart into the rows that the engine is given.
struct Texts {
  Texts(const Golden& golden, std::string prefix) : golden(golden), prefix(std::move(prefix)) {
    crossAttention = golden.member("classifier").string() == "cross-attention";
    const at::Tensor& gold_B = golden.input("gold");
    for (int64_t b = 0; b < gold_B.size(0); ++b) gold.push_back(gold_B[b].item<int64_t>());
    takePrefixes();
    for (const char* name : {"outer", "loc"}) takeInputs(name);
  }

  TokenRows rows(const std::string& name) const {
    return rowsOf(golden.input(name + ".input_ids"), golden.input(name + ".attention_mask"));
  }
  TokenRows ids(const std::string& partName, const std::string& which) const {
    return rows(prefix + "ids." + partName + "." + which);
  }
  int64_t size() const { return static_cast<int64_t>(gold.size()); }

  /// What stands before an input, from the rows that hold both. Of a BERT the input's own [CLS] is not repeated.
  void takePrefixes() {
    const std::vector<TokenRows> whole = split(ids("outer", "cf_gold"));
    const std::vector<TokenRows> input = split(counterfactualView("outer"));
    std::vector<TokenRows> ofEdit(gold.size());
    for (size_t b = 0; b < gold.size(); ++b) {
      ofEdit[gold[b]] = part(whole[b], 0, whole[b].lengths[0] - input[b].lengths[0]);
    }
    editPrefix = joined(ofEdit);
  }

  TokenRows counterfactualView(const std::string& name) const {
    const TokenRows source = rows("in." + name);
    if (golden.family() != "bert") return source;
    std::vector<TokenRows> views;
    for (const TokenRows& row : split(source)) views.push_back(part(row, 1, row.lengths[0] - 1));
    return joined(views);
  }

  void takeInputs(const std::string& name) {
    if (!crossAttention) {
      editText = ids(name, "cls_ctx");
      classifier[name] = ids(name, "cls_main");
      return;
    }
    // A pair is the edit's text, which ends with separators, and the input without its [CLS].
    std::vector<TokenRows> edits, inputs;
    const std::vector<TokenRows> pairs = split(ids(name, "cls_pairs"));
    for (int64_t n = 0; n < size(); ++n) {
      const auto [edit, ignored] = takenApart(pairs[n]);
      edits.push_back(edit);
      inputs.push_back(takenApart(pairs[n * size()]).second);
    }
    editText = joined(edits);
    classifier[name] = joined(inputs);
  }

  static std::pair<TokenRows, TokenRows> takenApart(const TokenRows& pair) {
    const int32_t separator = pair.ids.back();
    int64_t end = pair.lengths[0] - 1;
    while (pair.ids[end - 1] != separator) --end;
    TokenRows input = part(pair, end, pair.lengths[0] - end);
    input.ids.insert(input.ids.begin(), pair.ids.front());
    input.lengths[0] += 1;
    return {part(pair, 0, end), input};
  }

  RowViews views(const std::string& name) const {
    const bool own = golden.family() == "bert";  // a T5 reads the base's ids
    return {classifier.at(name), own ? counterfactualView(name) : TokenRows{}};
  }

  PairRows pairs(const std::string& name) const {
    const at::Tensor& labels_BT = golden.input("in." + name + ".labels");
    return {rows("in." + name), golden.family() == "bert" ? rowsOf(labels_BT, at::ones_like(labels_BT))
                                                          : rowsOfLabels(labels_BT)};
  }

  EditRequests requests() const {
    const std::vector<std::string> labels(gold.size(), "edit");
    return {pairs("edit"), editText, labels, editPrefix};
  }

  /// In-scope rows in the order of their edits.
  EpisodeBatch episode() const {
    std::vector<int64_t> order(gold.size());
    for (size_t b = 0; b < gold.size(); ++b) order[gold[b]] = static_cast<int64_t>(b);
    const PairRows inScope = pairs("outer");
    const RowViews inViews = views("outer");
    EpisodeBatch batch;
    batch.edits = pairs("edit");
    batch.editText = editText;
    batch.editPrefix = editPrefix;
    batch.inScope = {pick(inScope.source, order), pick(inScope.target, order)};
    batch.inScopeViews.classifier = pick(inViews.classifier, order);
    if (inViews.counterfactual.rows() > 0)
      batch.inScopeViews.counterfactual = pick(inViews.counterfactual, order);
    batch.outScope = pairs("loc");
    batch.outScopeViews = views("loc");
    return batch;
  }

  const Golden& golden;
  std::string prefix;
  bool crossAttention = false;
  std::vector<int64_t> gold;
  TokenRows editText, editPrefix;
  std::map<std::string, TokenRows> classifier;
};

SeracSpec specOf(const Golden& golden, bool useAllNegatives) {
  const auto directory = [&](const char* name) {
    return Json::Object{{"source", "directory"}, {"path", golden.folder() + "/" + name}};
  };
  const bool cross = golden.member("classifier").string() == "cross-attention";
  return readSeracSpec(Json::Object{{"kind", "serac"},
                                    {"scopeClassifier", cross ? "cross_attention" : "embedding"},
                                    {"classifier", directory("cls")},
                                    {"counterfactual", directory("cf")},
                                    {"cEdit", golden.member("c_edit")},
                                    {"cLoc", golden.member("c_loc")},
                                    {"useAllNegatives", useAllNegatives},
                                    {"microBatch", 2}});
}

class Case {
 public:
  Case(Golden& golden, const std::string& prefix)
      : golden_(golden),
        texts_(golden, prefix),
        base_(std::make_shared<const Model>(loadModel(golden.folder() + "/model", at::kCPU))),
        models_(std::make_shared<SeracModels>(startSerac(specOf(golden, false), *base_))) {}

  void check() {
    checkAnswers("outer");
    checkAnswers("loc");
    checkLosses();
    checkLog();
  }

 private:
  std::string name(const std::string& own) const { return texts_.prefix + own; }
  at::Tensor scalar(double value) const { return at::scalar_tensor(value, at::kDouble); }

  /// Logits of target tokens on the grid of the case, whose padding is not compared; of a BERT its one logit.
  void expectLogits(const std::string& stored, const std::string& rows, const at::Tensor& logits_NV) {
    if (golden_.family() == "bert") {
      golden_.expect(stored, logits_NV.narrow(1, 1, 1));
      return;
    }
    golden_.expect(stored, grid(stored, rows, logits_NV));
  }

  at::Tensor grid(const std::string& stored, const std::string& rows, const at::Tensor& logits_NV) const {
    const at::Tensor real_BT1 = golden_.input("in." + rows + ".labels").ne(-100).unsqueeze(2);
    return golden_.input(stored).masked_scatter(real_BT1, logits_NV);
  }

  void expectIds(const std::string& stored, const TokenRows& got) {
    const at::Tensor& wanted_BS = golden_.input(stored + ".input_ids");
    golden_.expect(stored + ".input_ids", gridOf(got, wanted_BS.size(1), 0));
    golden_.markChecked(stored + ".attention_mask");
  }

  std::shared_ptr<Scorer> edited() const {
    const StoredEdits stored = storedEdits(texts_.requests(), *models_, specOf(golden_, false), quiet);
    return std::make_shared<RoutedScorer>(base_, models_, specOf(golden_, false), stored, "");
  }

  void checkAnswers(const std::string& rows) {
    const PairRows batch = texts_.pairs(rows);
    const RowNotes notes({}, texts_.views(rows));
    const auto scorer = edited();
    const auto& routed = static_cast<const RoutedScorer&>(*scorer);
    golden_.expect(name(rows + ".log_sims"), routed.logSimilarities(batch.source, notes.views, quiet));
    const ScopeDecision scope = scorer->score(batch, notes, quiet).scope;
    golden_.expect(name(rows + ".index"), at::tensor(scope.selected));
    golden_.expect(name(rows + ".gate"), at::tensor(scope.logit).gt(0));
    golden_.expect(name(rows + ".beta"), at::tensor(scope.logit).sigmoid());
    expectLogits(name(rows + ".final_logits"), rows, scorer->targetLogits(batch, notes, quiet));
    expectLogits(name("base_logits_" + rows), rows, baseScorer(base_)->targetLogits(batch, quiet));

    const std::vector<int64_t> retrieved(scope.selected.begin(), scope.selected.end());
    expectJoin(rows, "cf_retrieved", retrieved);
    if (texts_.crossAttention) expectPairs(rows);
    if (rows != "outer") return;
    expectJoin(rows, "cf_gold", texts_.gold);
    const Model& counterfactual = models_->counterfactual;
    const PairRows behind{joinedTo(rows, texts_.gold), batch.target};
    expectLogits(name("outer.cf_logits_gold"), rows,
                 baseScorer(std::make_shared<const Model>(counterfactual))->targetLogits(behind, quiet));
  }

  TokenRows joinedTo(const std::string& rows, const std::vector<int64_t>& edits) const {
    std::vector<int64_t> all;
    for (int64_t b = 0; b < texts_.size(); ++b) all.push_back(b);
    return behindEdits(*models_->counterfactual.architecture, texts_.editPrefix, edits,
                       texts_.counterfactualView(rows), all);
  }
  void expectJoin(const std::string& rows, const std::string& which, const std::vector<int64_t>& edits) {
    expectIds(name("ids." + rows + "." + which), joinedTo(rows, edits));
  }

  void expectPairs(const std::string& rows) {
    std::vector<int64_t> edits, inputs;
    for (int64_t n = 0; n < texts_.size() * texts_.size(); ++n) {
      inputs.push_back(n / texts_.size());
      edits.push_back(n % texts_.size());
    }
    expectIds(name("ids." + rows + ".cls_pairs"),
              pairTexts(texts_.editText, edits, texts_.classifier.at(rows), inputs));
  }

  /// A weight's name in the fixture: MEND's wrapper of BERT has a prefix of its own.
  static std::string storedName(const Golden& golden, const std::string& name) {
    if (name.starts_with(kClassifierPrefix)) return "grad.cls." + name.substr(kClassifierPrefix.size());
    const std::string own = name.substr(kCounterfactualPrefix.size());
    const bool wrapped = golden.family() == "bert" && own.starts_with("bert.");
    return "grad.cf." + (wrapped ? "model." + own.substr(5) : own);
  }

  /// What both sides of a difference cancel is left as rounding.
  void expectGradient(const std::string& stored, const at::Tensor& gradient) {
    const at::Tensor& wanted = golden_.input(stored);
    const bool nothing = wanted.count_nonzero().item<int64_t>() == 0;
    if (nothing) EXPECT_LT(gradient.abs().max().item<double>(), 1e-6) << stored;
    golden_.expect(stored, nothing ? wanted : gradient);
  }

  void checkLosses() {
    const EpisodeBatch batch = texts_.episode();
    const SeracLosses losses = seracLosses(models_->tracked(), specOf(golden_, false), batch, true, quiet);
    const auto figure = [&](const char* key) { return scalar(tiny::figure(losses.figures, key)); };
    golden_.expect(name("loss_cf"), figure("counterfactualLoss"));
    golden_.expect(name("loss_cls"), figure("scopeLoss"));
    golden_.expect(name("loss_total"), figure("loss"));
    golden_.expect(name("log.cls_pos_acc"), figure("scopeAccuracyIn"));
    golden_.expect(name("log.cls_neg_acc"), figure("scopeAccuracyOut"));
    golden_.expect(name("log.cls_acc"), (figure("scopeAccuracyIn") + figure("scopeAccuracyOut")) / 2);
    golden_.expect(name("log.cntr_acc"), figure("rowAccuracy"));
    for (const auto& [own, gradient] : losses.gradients)
      expectGradient(name(storedName(golden_, own)), gradient);
    golden_.expect(
        name("all_negatives.loss_cls"),
        scalar(tiny::figure(seracLosses(*models_, specOf(golden_, true), batch, false, quiet).figures,
                            "scopeLoss")));
  }

  /// What editing did to the out-of-scope rows: mean KL of their target tokens, and the share of positions whose answers
  /// stayed, which the published code counts with the padding.
  void checkLog() {
    const PairRows batch = texts_.pairs("loc");
    const RowNotes notes({}, texts_.views("loc"));
    const auto before = baseScorer(base_), after = edited();
    golden_.expect(name("log.kl_edit"),
                   at::tensor(compareScorers(*before, *after, batch, notes, quiet)).mean().to(at::kDouble));
    const at::Tensor was = answers("base_logits_loc", before->targetLogits(batch, quiet));
    const at::Tensor is = answers("loc.final_logits", after->targetLogits(batch, notes, quiet));
    golden_.expect(name("log.retain_edit"), was.eq(is).to(at::kDouble).mean());
  }

  /// The arg-max of every position, of the padding that of the case.
  at::Tensor answers(const std::string& stored, const at::Tensor& logits_NV) const {
    if (golden_.family() == "bert") return logits_NV.argmax(1);
    return grid(name(stored), "loc", logits_NV).argmax(2);
  }

  Golden& golden_;
  Texts texts_;
  std::shared_ptr<const Model> base_;
  std::shared_ptr<SeracModels> models_;
};

}  // namespace

void checkSerac(Golden& golden) {
  if (golden.family() != "bert") {
    Case(golden, "").check();
    return;
  }
  Case(golden, "official_").check();
  Case(golden, "spec_").check();
  // The labels are what differs: with them the classifier tells true edits from false ones.
  EXPECT_FALSE(at::equal(golden.input("official_outer.index"), golden.input("spec_outer.index")));
}

}  // namespace seprog
