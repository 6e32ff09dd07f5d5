// What the tests of SEPROG share: modules without an editor around them, requests, changed checkpoints.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/editors/seprog/edit_encoder.h"
#include "core/editors/seprog/prompt_loss.h"
#include "core/editors/seprog/seprog.h"
#include "core/editors/seprog/seprog_losses.h"
#include "core/io/safetensors.h"
#include "tiny.h"

namespace seprog::tiny {

inline JobContext quiet;

/// Modules under test without an editor around them.
struct Parts {
  explicit Parts(const std::string& more = "", uint64_t seed = 1)
      : base(model(seed)), modules(readSeprogSpec(spec(more)), encoderOf(*base), *base) {}

  Episodes prepare(const EpisodeBatch& batch) const {
    return prepareEpisodes(batch, *base, modules.editEncoder());
  }
  EpisodeLosses losses(const EpisodeBatch& batch, bool gradients = false) const {
    return episodeLosses(*base, gradients ? modules.tracked() : modules, prepare(batch), gradients, quiet);
  }
  /// The same parts with one tensor replaced.
  Parts with(const std::string& name, const at::Tensor& tensor) const {
    Parts other = *this;
    TensorTable table = modules.parameters();
    table[name] = tensor;
    other.modules = modules.with(std::move(table));
    return other;
  }

  std::shared_ptr<const Model> base;
  SeprogModules modules;
};

inline std::shared_ptr<SeprogEditor> makeEditorOf(const std::shared_ptr<const Model>& base,
                                                  const std::string& more = "") {
  return makeSeprog(spec(more), base);
}

inline EditRequests requests(const EpisodeBatch& batch) {
  return {batch.edits, batch.editText, std::vector<std::string>(batch.editText.rows(), "edit")};
}

/// Rewrites one tensor of an editor through its checkpoint.
inline void rewrite(SeprogEditor& editor, const std::string& name,
                    const std::function<at::Tensor(const at::Tensor&)>& change) {
  const Folder folder;
  editor.save(folder.path(), false);
  TensorTable table = readSafetensors(folder / "editor.safetensors").tensors;
  table[name] = change(table.at(name)).contiguous();
  writeSafetensors(folder / "editor.safetensors", table);
  editor.restore(folder.path(), false);
}

/// Moves the scope logits so that about half of the rows are in scope.
inline void halveScope(SeprogEditor& editor, const EpisodeBatch& batch, const TokenRows& source) {
  const auto scorer = editor.edit(requests(batch), baseScorer(model()), quiet);
  std::vector<float> logit = scorer->generate(source, {1, true}, quiet).scope.logit;
  std::sort(logit.begin(), logit.end());
  const float middle = (logit[logit.size() / 2 - 1] + logit[logit.size() / 2]) / 2;
  ASSERT_LT(logit.front(), middle);
  rewrite(editor, "NN_e.2.bias", [&](const at::Tensor& bias) { return bias - middle; });
}

inline std::vector<TokenRows> split(const TokenRows& rows) {
  std::vector<TokenRows> out;
  for (int64_t b = 0; b < rows.rows(); ++b) out.push_back(slice(rows, b, 1));
  return out;
}

}  // namespace seprog::tiny
