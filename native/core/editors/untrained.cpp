#include "untrained.h"

#include "../error.h"
#include "../fnv.h"
#include "editor_checkpoint.h"

namespace seprog {
namespace {

[[noreturn]] void nothingToTrain(const char* call, const std::string& kind) {
  fail(ErrorCode::Unsupported, std::string("expected an editor with weights of its own for `") + call +
                                   "` but received one of kind " + kind +
                                   ", which has no training phase; edit with it as it is");
}

}  // namespace

UntrainedEditor::UntrainedEditor(std::string kind, Json spec, std::shared_ptr<const Model> base)
    : EditorOfBase(std::move(kind), std::move(base)), spec_(spec.dump()) {}

Figures UntrainedEditor::trainStep(const EpisodeBatch&, StepRate, JobContext&) {
  nothingToTrain("trainStep", kind());
}

Figures UntrainedEditor::validate(const EpisodeBatch&, JobContext&) { nothingToTrain("validate", kind()); }

void UntrainedEditor::save(const std::string& directory, bool) const {
  writeEditorDescription(directory, kind(), {{"spec", Json::parse(spec_)}}, baseChecksum(), 0);
}

void UntrainedEditor::restore(const std::string& directory, bool) {
  EditorDescription(directory, kind(), baseChecksum()).demand("spec", Json::parse(spec_));
}

void UntrainedEditor::refuse(const std::string& editor) const {
  fail(ErrorCode::Unsupported, "expected a base model or a model edited by " + madeBy() +
                                   " for `onto` but received one edited by " +
                                   (editor.empty() ? "another kind of editor" : editor) +
                                   "; edits of one editor go on top of its own");
}

std::string UntrainedEditor::fingerprint() const {
  Fnv hash;
  hash.bytes(spec_.data(), spec_.size() + 1);
  hash.bytes(baseChecksum().data(), baseChecksum().size());
  return hex(hash.value());
}

}  // namespace seprog
