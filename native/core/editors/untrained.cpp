#include "untrained.h"

#include "../error.h"
#include "../fnv.h"
#include "../io/atomic_file.h"

namespace seprog {
namespace {

[[noreturn]] void nothingToTrain(const char* call, const std::string& kind) {
  fail(ErrorCode::Unsupported, std::string("expected an editor with weights of its own for `") + call +
                                   "` but received one of kind " + kind +
                                   ", which has no training phase; edit with it as it is");
}

void demandEntry(const std::string& path, const char* key, const std::string& expected, const Json* found) {
  const std::string received = found == nullptr ? "nothing" : found->dump();
  if (received == expected) return;
  fail(ErrorCode::CheckpointInvalid,
       "expected " + expected + " for `" + key + "` in " + path + " but received " + received);
}

Json readDescription(const std::string& path) {
  try {
    return Json::parse(readFile(path));
  } catch (const Error& error) {
    fail(ErrorCode::CheckpointInvalid, "expected an editor description for `" + path + "`: " + error.what());
  }
}

}  // namespace

UntrainedEditor::UntrainedEditor(std::string kind, Json spec, std::shared_ptr<const Model> base)
    : kind_(std::move(kind)), spec_(spec.dump()), base_(std::move(base)) {}

const std::string& UntrainedEditor::baseChecksum() const {
  if (baseChecksum_.empty()) baseChecksum_ = hex(base_->weights.checksum());
  return baseChecksum_;
}

Figures UntrainedEditor::trainStep(const EpisodeBatch&, StepRate, JobContext&) {
  nothingToTrain("trainStep", kind_);
}

Figures UntrainedEditor::validate(const EpisodeBatch&, JobContext&) { nothingToTrain("validate", kind_); }

void UntrainedEditor::save(const std::string& directory, bool) const {
  const Json description = Json::Object{
      {"kind", kind_},
      {"spec", Json::parse(spec_)},
      {"baseChecksum", baseChecksum()},
      {"steps", 0},
  };
  writeFileAtomic(directory + "/editor.json", description.dump() + "\n");
}

void UntrainedEditor::restore(const std::string& directory, bool) {
  const std::string path = directory + "/editor.json";
  const Json description = readDescription(path);
  demandEntry(path, "kind", Json(kind_).dump(), description.find("kind"));
  demandEntry(path, "baseChecksum", Json(baseChecksum()).dump(), description.find("baseChecksum"));
  demandEntry(path, "spec", spec_, description.find("spec"));
}

void UntrainedEditor::demandOwnBase(const Scorer& onto) const {
  if (&onto.base() == base_.get() || hex(onto.base().weights.checksum()) == baseChecksum()) return;
  fail(ErrorCode::Unsupported,
       "expected a scorer of the base model this editor was made for but received one of another model; make "
       "an "
       "editor for that model");
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
