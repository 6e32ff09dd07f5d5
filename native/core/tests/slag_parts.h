// What the tests of SLAG share: specs of small sizes, episodes of every family, edits of an episode.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/editors/slag/slag.h"
#include "core/editors/slag/slag_spec.h"
#include "core/io/safetensors.h"
#include "tiny.h"

namespace seprog::tiny {

/// Sizes to match the tiny models; `more` is appended inside the object, starting with a comma.
inline Json slagSpec(const std::string& more = "") {
  return Json::parse(
      R"({"kind": "slag", "seed": 3, "lstmWidth": 8, "conditionWidth": 12, "conditionerWidth": 10)" + more +
      "}");
}

inline SlagSpec readTinySlagSpec(const std::string& more = "") { return readSlagSpec(slagSpec(more)); }

inline const std::vector<std::pair<const char*, Json>>& slagFamilies() {
  static const std::vector<std::pair<const char*, Json>> all = {
      {"t5", config()},
      {"bart", with(bartConfig(), R"({"init_std": 0.2})")},
      {"bert", with(bertConfig(), R"({"initializer_range": 0.2})")},
      {"gpt2", gpt2Config()}};
  return all;
}

/// Random episodes that a family can answer.
inline EpisodeBatch slagEpisodes(const Architecture& family, uint64_t seed, int64_t count, int64_t edits) {
  EpisodeBatch batch = episodes(seed, count, edits);
  if (family.answerKind() != AnswerKind::Label) return batch;
  Random random(seed, "classes");
  for (PairRows* rows : {&batch.edits, &batch.inScope, &batch.outScope}) {
    rows->target = classes(random, count * edits, 2);
  }
  return batch;
}

inline EditRequests slagRequests(const EpisodeBatch& batch, int64_t first, int64_t count) {
  return {{slice(batch.edits.source, first, count), slice(batch.edits.target, first, count)},
          slice(batch.editText, first, count),
          std::vector<std::string>(count, "edit")};
}

/// The editor with one of its tensors changed, through its checkpoint.
inline void rewrite(Editor& editor, const std::string& name,
                    const std::function<at::Tensor(const at::Tensor&)>& change) {
  const Folder folder;
  editor.save(folder.path(), false);
  TensorTable table = readSafetensors(folder / "editor.safetensors").tensors;
  table[name] = change(table.at(name)).contiguous();
  writeSafetensors(folder / "editor.safetensors", table);
  editor.restore(folder.path(), false);
}

inline void expectClose(const at::Tensor& got, const at::Tensor& wanted, double relative,
                        const std::string& what) {
  const double scale = wanted.abs().max().item<double>();
  EXPECT_LE((got - wanted).abs().max().item<double>(), relative * scale + 1e-9) << what;
}

}  // namespace seprog::tiny
