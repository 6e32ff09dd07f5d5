#include "edit_memory.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "../error.h"
#include "../instrument/memory_role.h"
#include "../io/safetensors.h"
#include "../json.h"

namespace seprog {
namespace {

void checkRows(const at::Tensor& h_KH, int64_t rows, int64_t width) {
  if (h_KH.dim() != 2 || h_KH.size(0) != rows || h_KH.size(1) != width || h_KH.scalar_type() != at::kFloat) {
    std::ostringstream received;
    received << h_KH.sizes();
    fail(ErrorCode::ShapeMismatch, "expected float32 embeddings of shape [" + std::to_string(rows) + ", " +
                                       std::to_string(width) + "] for `embeddings` but received " +
                                       received.str());
  }
  if (!at::isfinite(h_KH).all().item<bool>()) {
    fail(ErrorCode::NonFinite, "expected finite numbers for `embeddings` but received a NaN or an infinity");
  }
}

[[noreturn]] void missing(int64_t id) {
  fail(ErrorCode::DataInvalid, "expected the id of a stored edit for `id` but received " +
                                   std::to_string(id) + "; list() gives the ids");
}

[[noreturn]] void malformed(const std::string& path, const std::string& what) {
  fail(ErrorCode::CheckpointInvalid,
       "expected an edit memory for `" + path + "` but received a file " + what);
}

const std::string& entry(const SafetensorsFile& file, const std::string& path, const std::string& key) {
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end()) malformed(path, "without \"" + key + "\" in its metadata");
  return found->second;
}

}  // namespace

EditMemory::EditMemory(int64_t width, std::string fingerprint)
    : width_(width), fingerprint_(std::move(fingerprint)), h_KH_(at::empty({0, width}, at::kFloat)) {}

std::vector<int64_t> EditMemory::add(const std::vector<std::string>& labels, const at::Tensor& h_KH) {
  at::NoGradGuard noGrad;
  checkRows(h_KH, static_cast<int64_t>(labels.size()), width_);
  const RoleScope role(MemoryRole::EditMemory);
  // A new tensor, never written in place: snapshots and scorers may still hold the old one.
  at::Tensor grown_KH = size() == 0 ? h_KH.detach().clone(at::MemoryFormat::Contiguous)
                                    : at::cat({h_KH_, h_KH.detach().to(h_KH_.device())});
  std::vector<MemoryRow> rows = rows_;
  std::vector<int64_t> ids;
  int64_t next = nextId_;
  for (const std::string& label : labels) {
    rows.push_back({next, label});
    ids.push_back(next++);
  }
  rows_ = std::move(rows);
  h_KH_ = std::move(grown_KH);
  nextId_ = next;
  return ids;
}

void EditMemory::update(int64_t id, const std::string& label, const at::Tensor& h_H) {
  at::NoGradGuard noGrad;
  const auto row = std::find_if(rows_.begin(), rows_.end(), [&](const MemoryRow& r) { return r.id == id; });
  if (row == rows_.end()) missing(id);
  checkRows(h_H.dim() == 1 ? h_H.unsqueeze(0) : h_H, 1, width_);
  const RoleScope role(MemoryRole::EditMemory);
  at::Tensor changed_KH = h_KH_.clone();
  changed_KH.select(0, row - rows_.begin()).copy_(h_H.detach().reshape({width_}));
  std::string copy = label;
  h_KH_ = std::move(changed_KH);
  row->label = std::move(copy);
}

void EditMemory::remove(const std::vector<int64_t>& ids) {
  at::NoGradGuard noGrad;
  std::set<int64_t> leaving(ids.begin(), ids.end());
  std::vector<MemoryRow> staying;
  std::vector<int64_t> indices;
  for (int64_t k = 0; k < size(); ++k) {
    if (leaving.erase(rows_[k].id) == 0) {
      staying.push_back(rows_[k]);
      indices.push_back(k);
    }
  }
  if (!leaving.empty()) missing(*leaving.begin());
  const RoleScope role(MemoryRole::EditMemory);
  at::Tensor left_KH = h_KH_.index_select(0, at::tensor(indices, at::kLong).to(h_KH_.device()));
  rows_ = std::move(staying);
  h_KH_ = std::move(left_KH);
}

int64_t EditMemory::snapshot() {
  snapshots_.push_back({rows_, h_KH_});
  return static_cast<int64_t>(snapshots_.size());
}

void EditMemory::rollback(int64_t snapshotId) {
  if (snapshotId < 1 || snapshotId > static_cast<int64_t>(snapshots_.size())) {
    fail(ErrorCode::DataInvalid,
         "expected an id that snapshot() gave for `snapshotId` but received " + std::to_string(snapshotId));
  }
  const State& state = snapshots_[snapshotId - 1];
  std::vector<MemoryRow> rows = state.rows;
  h_KH_ = state.h_KH;
  rows_ = std::move(rows);
}

void EditMemory::save(const std::string& path) const {
  Json::Array rows;
  for (const MemoryRow& row : rows_) {
    rows.push_back(Json::Object{{"id", Json(row.id)}, {"label", Json(row.label)}});
  }
  writeSafetensors(path, {{"h", h_KH_}},
                   {{"kind", "seprog.memory"},
                    {"fingerprint", fingerprint_},
                    {"nextId", std::to_string(nextId_)},
                    {"rows", Json(std::move(rows)).dump()}});
}

EditMemory EditMemory::load(const std::string& path, int64_t width, const std::string& fingerprint) {
  const SafetensorsFile file = readSafetensors(path);
  const std::string& maker = entry(file, path, "fingerprint");
  if (maker != fingerprint) {
    fail(ErrorCode::CheckpointInvalid, "expected a memory made by the editor " + fingerprint + " for `" +
                                           path + "` but received one made by " + maker +
                                           "; load that editor, or add the edits anew with this one");
  }
  const auto h = file.tensors.find("h");
  if (h == file.tensors.end()) malformed(path, "without a tensor \"h\"");

  EditMemory memory(width, fingerprint);
  Json rows;
  try {
    rows = Json::parse(entry(file, path, "rows"));
    memory.nextId_ = std::stoll(entry(file, path, "nextId"));
  } catch (const std::exception& error) {
    malformed(path, std::string("whose metadata cannot be read (") + error.what() + ")");
  }
  if (!rows.isArray()) malformed(path, "whose rows are not a list");
  std::set<int64_t> seen;
  for (const Json& row : rows.array()) {
    const Json* id = row.find("id");
    const Json* label = row.find("label");
    if (id == nullptr || !id->isNumber() || label == nullptr || !label->isString()) {
      malformed(path, "with a row that lacks an id or a label");
    }
    memory.rows_.push_back({static_cast<int64_t>(id->number()), label->string()});
    if (memory.rows_.back().id >= memory.nextId_ || !seen.insert(memory.rows_.back().id).second) {
      malformed(path, "with a row id that repeats or was never given");
    }
  }
  try {
    checkRows(h->second, memory.size(), width);
  } catch (const Error& error) {
    fail(ErrorCode::CheckpointInvalid, path + ": " + error.what());
  }
  const RoleScope role(MemoryRole::EditMemory);
  memory.h_KH_ = h->second.clone(at::MemoryFormat::Contiguous);
  return memory;
}

}  // namespace seprog
