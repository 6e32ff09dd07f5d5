#include "golden.h"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "../error.h"
#include "../io/atomic_file.h"
#include "../io/safetensors.h"

namespace seprog {
namespace {

const Json& memberOf(const Json& object, const std::string& key, const std::string& where) {
  const Json* value = object.find(key);
  if (value == nullptr)
    fail(ErrorCode::DataInvalid, "expected `" + key + "` in " + where + " but received nothing");
  return *value;
}

}  // namespace

Golden::Golden(std::string folder)
    : folder_(std::move(folder)), case_(Json::parse(readFile(folder_ + "/case.json"))) {
  const std::string table = folder_ + "/case.safetensors";
  if (std::filesystem::exists(table)) tensors_ = readSafetensors(table).tensors;
}

std::string Golden::kind() const { return member("kind").string(); }

std::string Golden::family() const {
  const Json* family = case_.find("family");
  return family != nullptr && family->isString() ? family->string() : "";
}

const Json& Golden::settings() const { return member("settings"); }

const Json& Golden::member(const std::string& key) const { return memberOf(case_, key, folder_); }

std::vector<std::string> Golden::models() const {
  std::vector<std::string> names;
  for (const Json& name : member("models").array()) names.push_back(name.string());
  return names;
}

const at::Tensor& Golden::input(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) fail(ErrorCode::DataInvalid, "expected a tensor `" + name + "` in " + folder_);
  return found->second;
}

std::vector<std::string> Golden::namesWith(const std::string& prefix) const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors_) {
    if (name.compare(0, prefix.size(), prefix) == 0) names.push_back(name);
  }
  return names;
}

const Json& Golden::description(const std::string& name) const {
  return memberOf(member("tensors"), name, folder_);
}

void Golden::expect(const std::string& name, const at::Tensor& got) {
  checked_.insert(name);
  const at::Tensor wanted = input(name);
  ASSERT_EQ(got.sizes(), wanted.sizes()) << folder_ << ": " << name;
  if (!at::isFloatingType(wanted.scalar_type())) {
    EXPECT_TRUE(at::equal(got.to(wanted.scalar_type()), wanted)) << folder_ << ": " << name << " differs";
    return;
  }
  const at::Tensor exact = wanted.to(at::kDouble);
  const double bound = tolerance(name, exact);
  const double error = (got.detach().to(at::kDouble) - exact).abs().max().item<double>();
  EXPECT_LE(error, bound) << folder_ << ": " << name;
  if (!(error / bound <= worstShare_)) {
    worstShare_ = error / bound;
    worstName_ = name;
  }
}

double Golden::tolerance(const std::string& name, const at::Tensor& exact) const {
  const Json* byName = case_.find("atol");
  if (byName != nullptr) return memberOf(*byName, name, folder_).number();
  const Json& rule = description(name);
  return memberOf(rule, "atol", name).number() +
         memberOf(rule, "rtol", name).number() * exact.abs().max().item<double>();
}

bool Golden::isInput(const std::string& name) const {
  if (case_.find("atol") == nullptr) return memberOf(description(name), "kind", name).string() == "input";
  // A tensor with a tolerance is an output, and flags and indices are told by their names.
  if (case_.find("atol")->find(name) != nullptr) return false;
  return name == "gold" || name.starts_with("in.") || name.starts_with("init.") || name.starts_with("ids.") ||
         name.find(".in.") != std::string::npos;
}

void Golden::finish() {
  for (const auto& [name, tensor] : tensors_) {
    if (checked_.count(name) == 0 && !isInput(name)) {
      ADD_FAILURE() << folder_ << ": nothing was compared with " << name;
    }
  }
}

std::string goldenRoot() {
  const char* wish = std::getenv("SEPROG_GOLDEN");
  if (wish != nullptr && *wish != '\0') return wish;
  const std::filesystem::path tests = std::filesystem::path(__FILE__).parent_path();
  return (tests / "../../../test/fixtures/golden").lexically_normal().string();
}

std::vector<std::string> goldenFolders() {
  std::vector<std::string> folders;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(goldenRoot())) {
    if (entry.path().filename() == "case.json") folders.push_back(entry.path().parent_path().string());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

TokenRows rowsOf(const at::Tensor& ids_BS, const at::Tensor& mask_BS) {
  TokenRows rows;
  for (int64_t b = 0; b < ids_BS.size(0); ++b) {
    const int64_t length = mask_BS[b].sum().item<int64_t>();
    for (int64_t s = 0; s < length; ++s)
      rows.ids.push_back(static_cast<int32_t>(ids_BS[b][s].item<int64_t>()));
    rows.lengths.push_back(static_cast<int32_t>(length));
  }
  return rows;
}

TokenRows sourceRows(const Golden& golden, const std::string& name, const std::string& types) {
  const at::Tensor& mask_BS = golden.input(name + "_mask");
  TokenRows rows = rowsOf(golden.input(name), mask_BS);
  if (golden.has(types)) rows.types = rowsOf(golden.input(types), mask_BS).ids;
  return rows;
}

TokenRows targetRows(const Golden& golden) {
  if (!golden.has("y")) return rowsOfLabels(golden.input("labels"));
  const at::Tensor& y_B = golden.input("y");
  return rowsOf(y_B.unsqueeze(1), at::ones_like(y_B).unsqueeze(1));
}

at::Tensor storedLogits(const Golden& golden, const std::string& name, const at::Tensor& logits_NV,
                        const Targets& targets) {
  if (golden.has("xy")) {  // column t predicts token t+1, so the last column is not there
    const at::Tensor& labels_BT = golden.input("labels");
    return atLabels(labels_BT, logits_NV, 1, 0).narrow(1, 0, labels_BT.size(1) - 1);
  }
  if (!golden.has("y")) return spread(logits_NV, targets, 0);
  return golden.input(name).dim() == 1 ? logits_NV.select(1, 1) : logits_NV;
}

TokenRows rowsOfLabels(const at::Tensor& labels_BT) {
  TokenRows rows;
  for (int64_t b = 0; b < labels_BT.size(0); ++b) {
    const at::Tensor ids = labels_BT[b].masked_select(labels_BT[b].ne(-100)).to(at::kInt);
    rows.ids.insert(rows.ids.end(), ids.const_data_ptr<int32_t>(),
                    ids.const_data_ptr<int32_t>() + ids.numel());
    rows.lengths.push_back(static_cast<int32_t>(ids.numel()));
  }
  return rows;
}

at::Tensor meanNll(const at::Tensor& logits_NV, const at::Tensor& labels_N) {
  return at::log_softmax(logits_NV, 1).gather(1, labels_N.unsqueeze(1)).mean().neg();
}

at::Tensor gridOf(const TokenRows& rows, int64_t columns, int64_t padId) {
  at::Tensor ids = at::full({rows.rows(), columns}, padId, at::kLong);
  size_t next = 0;
  for (int64_t b = 0; b < rows.rows(); ++b) {
    for (int64_t t = 0; t < rows.lengths[b]; ++t) ids[b][t] = rows.ids[next++];
  }
  return ids;
}

at::Tensor atLabels(const at::Tensor& labels_BT, const at::Tensor& packed, int64_t back, double fill) {
  std::vector<int64_t> shape(labels_BT.sizes().begin(), labels_BT.sizes().end());
  shape.insert(shape.end(), packed.sizes().begin() + 1, packed.sizes().end());
  at::Tensor grid = at::full(shape, fill, packed.options().requires_grad(false));
  const at::Tensor place_N2 = labels_BT.ne(-100).nonzero();
  grid.index_put_({place_N2.select(1, 0), place_N2.select(1, 1) - back}, packed.detach());
  return grid;
}

at::Tensor spread(const at::Tensor& packed, const Targets& targets, double fill) {
  std::vector<int64_t> shape = {targets.tokens.rows() * targets.tokens.columns()};
  shape.insert(shape.end(), packed.sizes().begin() + 1, packed.sizes().end());
  at::Tensor grid = at::full(shape, fill, packed.options().requires_grad(false));
  grid.index_copy_(0, targets.flatRows_N, packed.detach());
  shape.erase(shape.begin());
  shape.insert(shape.begin(), {targets.tokens.rows(), targets.tokens.columns()});
  return grid.view(shape);
}

}  // namespace seprog
