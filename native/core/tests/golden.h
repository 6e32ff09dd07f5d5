// Golden fixtures: a folder with case.json and case.safetensors, its `kind` saying what it is.
// SEPROG_GOLDEN names another folder to walk; the default is test/fixtures/golden.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "../json.h"
#include "../models/model.h"
#include "../tensor/weights.h"

namespace seprog {

class Golden {
 public:
  explicit Golden(std::string folder);

  const std::string& folder() const { return folder_; }
  std::string kind() const;
  std::string family() const;  // empty where the case names none
  const Json& settings() const;
  std::vector<std::string> models() const;
  /// A member of case.json; throws DATA_INVALID where the case has none.
  const Json& member(const std::string& key) const;

  bool has(const std::string& name) const { return tensors_.count(name) != 0; }
  const at::Tensor& input(const std::string& name) const;
  std::vector<std::string> namesWith(const std::string& prefix) const;
  const Json& description(const std::string& name) const;

  /// Fails the test unless every element is within atol + rtol · max|expected|, or within the tensor's own bound
  /// where the case has a table of them. Marks the tensor as checked.
  void expect(const std::string& name, const at::Tensor& got);
  /// For a rule of its own (gradients too small to compare after an optimiser step).
  void markChecked(const std::string& name) { checked_.insert(name); }
  /// Fails the test for every expected tensor that no one compared.
  void finish();

  double worstShare() const { return worstShare_; }
  const std::string& worstName() const { return worstName_; }

 private:
  double tolerance(const std::string& name, const at::Tensor& exact) const;
  bool isInput(const std::string& name) const;

  std::string folder_;
  Json case_;
  TensorTable tensors_;
  std::set<std::string> checked_;
  double worstShare_ = 0;
  std::string worstName_;
};

/// Where fixtures are looked for, and all folders below that hold a case.json, sorted.
std::string goldenRoot();
std::vector<std::string> goldenFolders();

/// Rows of ids where `mask` is 1, and rows of the labels that are not −100.
TokenRows rowsOf(const at::Tensor& ids_BS, const at::Tensor& mask_BS);
TokenRows rowsOfLabels(const at::Tensor& labels_BT);
/// Rows of the inputs `name`, `name`_mask and, for sentence pairs, `types`.
TokenRows sourceRows(const Golden& golden, const std::string& name, const std::string& types);
/// Targets of a case: `labels` of tokens, or class ids `y`.
TokenRows targetRows(const Golden& golden);
/// Logits of target tokens as the case stores them: on a grid; of a classifier by row, of one logit that alone.
at::Tensor storedLogits(const Golden& golden, const std::string& name, const at::Tensor& logits_NV,
                        const Targets& targets);
/// Mean negative log-likelihood of the labels.
at::Tensor meanNll(const at::Tensor& logits_NV, const at::Tensor& labels_N);
/// [B, columns], `padId` behind each row.
at::Tensor gridOf(const TokenRows& rows, int64_t columns, int64_t padId);
/// [N, …] of target tokens → the grid of labels_BT, each `back` columns before its label, with `fill` elsewhere.
at::Tensor atLabels(const at::Tensor& labels_BT, const at::Tensor& packed, int64_t back, double fill);
/// [N, …] of real target positions → [B, T, …] with `fill` elsewhere.
at::Tensor spread(const at::Tensor& packed, const Targets& targets, double fill);

/// The checks, one per kind; golden_test.cpp holds the table.
void checkFamily(Golden& golden);
void checkPrefix(Golden& golden);
void checkSeprogStep(Golden& golden);
/// The first two kinds for models that go on where their source ends.
void checkContinuationFamily(Golden& golden);
void checkContinuationPrefix(Golden& golden);
void checkCheckpoint(Golden& golden);
void checkEnn(Golden& golden);
void checkInnerLoop(Golden& golden);
void checkSerac(Golden& golden);
void checkSlag(Golden& golden);
void checkFt(Golden& golden);
void checkMetrics(Golden& golden);
void checkMend(Golden& golden);

}  // namespace seprog
