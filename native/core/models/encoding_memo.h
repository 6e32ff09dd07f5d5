// Encoder outputs kept between calls: a question that is put to a base again, by another protocol, another edited model
// or as the reference of a divergence, is not encoded again. B rows, S columns, D width.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <list>
#include <string>
#include <unordered_map>

#include "../tensor/token_batch.h"

namespace seprog {

struct Encoded;
struct Model;

/// Of one model's weights; used on its engine's thread alone.
class EncodingMemo {
 public:
  /// Encoder output of `rows`; those kept before are not computed. Afterwards at most `mostBytes` are kept, and those
  /// unused for the longest are gone. A kept row's states are those of the batch it was first part of: equal to the
  /// ones it would get here but for last bits, where sums of attention run over padding.
  Encoded encode(const Model& model, const TokenRows& rows, int64_t mostBytes);

  int64_t keptBytes() const { return keptBytes_; }
  int64_t keptRows() const { return static_cast<int64_t>(kept_.size()); }

 private:
  struct Entry {
    std::string key;
    at::Tensor h_SD;  // real positions alone
  };
  using Entries = std::list<Entry>;  // the last used first

  /// nullptr for a row that is not kept.
  const at::Tensor* find(const std::string& key);
  void keep(const std::string& key, const at::Tensor& h_SD);
  void trim(int64_t mostBytes);

  Entries entries_;
  std::unordered_map<std::string, Entries::iterator> kept_;
  int64_t keptBytes_ = 0;
};

}  // namespace seprog
