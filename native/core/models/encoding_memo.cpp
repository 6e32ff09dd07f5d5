#include "encoding_memo.h"

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <vector>

#include "model.h"

namespace seprog {
namespace {

/// Ids and token types of each row.
std::vector<std::string> keysOf(const TokenRows& rows) {
  std::vector<std::string> keys;
  size_t first = 0;
  const auto append = [&](std::string& key, const std::vector<int32_t>& values, size_t count) {
    key.append(reinterpret_cast<const char*>(values.data() + first), count * sizeof(int32_t));
  };
  for (const int32_t length : rows.lengths) {
    std::string key;
    append(key, rows.ids, length);
    if (!rows.types.empty()) append(key, rows.types, length);
    keys.push_back(std::move(key));
    first += length;
  }
  return keys;
}

int64_t bytesOf(const std::string& key, const at::Tensor& h_SD) {
  return static_cast<int64_t>(key.size() + h_SD.nbytes());
}

}  // namespace

Encoded EncodingMemo::encode(const Model& model, const TokenRows& rows, int64_t mostBytes) {
  const Architecture& family = *model.architecture;
  const TokenBatch source = pad(rows, family.padId(), family.vocabulary(), model.device);
  const std::vector<std::string> keys = keysOf(rows);
  std::vector<int64_t> missing;
  std::vector<at::Tensor> known(keys.size());
  for (size_t b = 0; b < keys.size(); ++b) {
    if (const at::Tensor* h_SD = find(keys[b])) {
      known[b] = *h_SD;
    } else {
      missing.push_back(static_cast<int64_t>(b));
    }
  }

  Encoded encoded;
  if (missing.size() == keys.size()) {
    encoded = family.encode(model.weights, source);
  } else {
    Encoded fresh;
    if (!missing.empty()) {
      fresh = family.encode(model.weights, source.select(at::tensor(missing, at::kLong).to(model.device)));
    }
    const at::Tensor& like = missing.empty() ? known.front() : fresh.h_BSD;
    encoded = {source, at::zeros({source.rows(), source.columns(), like.size(-1)}, like.options())};
    for (size_t b = 0; b < known.size(); ++b) {
      if (known[b].defined()) encoded.h_BSD[b].narrow(0, 0, known[b].size(0)).copy_(known[b]);
    }
    for (size_t m = 0; m < missing.size(); ++m) {
      encoded.h_BSD[missing[m]].narrow(0, 0, fresh.h_BSD.size(1)).copy_(fresh.h_BSD[static_cast<int64_t>(m)]);
    }
  }
  for (const int64_t b : missing) {
    keep(keys[b], encoded.h_BSD[b].narrow(0, 0, source.lengths[b]).clone());
  }
  trim(mostBytes);
  return encoded;
}

const at::Tensor* EncodingMemo::find(const std::string& key) {
  const auto found = kept_.find(key);
  if (found == kept_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return &found->second->h_SD;
}

void EncodingMemo::keep(const std::string& key, const at::Tensor& h_SD) {
  if (kept_.contains(key)) return;  // twice in one batch
  entries_.push_front({key, h_SD});
  kept_.emplace(key, entries_.begin());
  keptBytes_ += bytesOf(key, h_SD);
}

void EncodingMemo::trim(int64_t mostBytes) {
  while (keptBytes_ > mostBytes && !entries_.empty()) {
    const Entry& last = entries_.back();
    keptBytes_ -= bytesOf(last.key, last.h_SD);
    kept_.erase(last.key);
    entries_.pop_back();
  }
}

}  // namespace seprog
