// Rows of edits with their embeddings: adding or deleting an edit is adding or deleting a row (seprog.md section 6).
// K rows of width H. Used on the engine thread only.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace seprog {

struct MemoryRow {
  int64_t id = 0;     // assigned once, never reused
  std::string label;  // what people see, e.g. "question >> answer"
};

class EditMemory {
 public:
  /// `fingerprint` is the editor's: a memory made by another editor means nothing to this one.
  EditMemory(int64_t width, std::string fingerprint);

  /// h_KH: detached embeddings, one row per label. Returns the new ids.
  std::vector<int64_t> add(const std::vector<std::string>& labels, const at::Tensor& h_KH);
  /// Throws DATA_INVALID for an id that is not there; nothing changes then.
  void update(int64_t id, const std::string& label, const at::Tensor& h_H);
  void remove(const std::vector<int64_t>& ids);

  const std::vector<MemoryRow>& rows() const { return rows_; }
  const at::Tensor& embeddings_KH() const { return h_KH_; }
  int64_t size() const { return static_cast<int64_t>(rows_.size()); }
  int64_t width() const { return width_; }
  const std::string& fingerprint() const { return fingerprint_; }

  /// Cheap (shares rows); rollback restores exactly that state, and the id counter stays ahead of every id ever given.
  int64_t snapshot();
  void rollback(int64_t snapshotId);

  /// One safetensors file: "h" plus rows and fingerprint in its metadata.
  void save(const std::string& path) const;
  /// Throws CHECKPOINT_INVALID for another width or fingerprint.
  static EditMemory load(const std::string& path, int64_t width, const std::string& fingerprint);

 private:
  struct State {
    std::vector<MemoryRow> rows;
    at::Tensor h_KH;
  };
  int64_t width_;
  std::string fingerprint_;
  std::vector<MemoryRow> rows_;
  at::Tensor h_KH_;
  int64_t nextId_ = 1;
  std::vector<State> snapshots_;
};

}  // namespace seprog
