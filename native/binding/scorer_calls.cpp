#include "scorer_calls.h"

#include <cmath>

#include "edited_model_wrap.h"
#include "model_wrap.h"

namespace seprog::binding {

std::shared_ptr<Scorer> toScorer(const Napi::Value& value, const Channel& channel, const char* path) {
  if (EditedModelWrap::from(value)) return EditedModelWrap::argument(value, channel, path).live()->scorer;
  return ModelWrap::argument(value, channel, path).live()->scorer;
}

namespace {

/// Options of a call that answers rows: `goldEdits`, `views`, and what `readOwn` reads.
CallOptions readAnswerOptions(const Napi::Value& value, RowNotes& notes,
                              const std::function<void(Options&)>& readOwn = nullptr) {
  return readCallOptions(value, readOwn, [&](const std::string& key, const Napi::Value& member) {
    if (key == "goldEdits") {
      notes.gold = toInts(member, "options.goldEdits");
    } else if (key == "views") {
      notes.views = toRowViews(member, "options.views");
    } else if (key == "encodingBytes") {
      notes.encodingBytes = toInteger(member, "options.encodingBytes");
    } else {
      return false;
    }
    return true;
  });
}

Sampling readSampling(Options options) {
  const int64_t seed = options.integer("seed");
  Sampling sample{static_cast<uint64_t>(seed), options.number("temperature", 1)};
  options.finish();
  if (seed < 0) {
    fail(ErrorCode::ConfigInvalid,
         "expected 0 or more for `options.sample.seed` but received " + std::to_string(seed));
  }
  if (!(sample.temperature > 0 && std::isfinite(sample.temperature))) {
    fail(ErrorCode::ConfigInvalid,
         "expected a number above 0 for `options.sample.temperature` but received " +
             Json(sample.temperature).dump());
  }
  return sample;
}

/// Options of a call that generates.
CallOptions readGenerateOptions(const Napi::Value& value, RowNotes& notes, GenerateOptions& generation) {
  CallOptions options = readAnswerOptions(value, notes, [&](Options& own) {
    generation.maxNewTokens = own.integer("maxNewTokens", generation.maxNewTokens);
    generation.stopAtEnd = own.boolean("stopAtEnd", generation.stopAtEnd);
    if (own.has("sample")) generation.sample = readSampling(own.child("sample"));
  });
  if (generation.maxNewTokens < 1) {
    fail(ErrorCode::ConfigInvalid, "expected 1 or more for `options.maxNewTokens` but received " +
                                       std::to_string(generation.maxNewTokens));
  }
  return options;
}

}  // namespace

Napi::Value startScore(const Napi::CallbackInfo& info, Channel& channel, std::shared_ptr<Scorer> scorer) {
  auto batch = toPairRows(info[0], "batch");
  RowNotes notes;
  const CallOptions options = readAnswerOptions(info[1], notes);
  return start(
      info.Env(), channel, options,
      [scorer = std::move(scorer), batch = std::move(batch), notes = std::move(notes)](JobContext& context) {
        return scorer->score(batch, notes, context);
      },
      &fromTokenScores);
}

Napi::Value startCompare(const Napi::CallbackInfo& info, Channel& channel, std::shared_ptr<Scorer> scorer) {
  auto other = toScorer(info[0], channel, "other");
  auto batch = toPairRows(info[1], "batch");
  RowNotes notes;
  const CallOptions options = readAnswerOptions(info[2], notes);
  return start(
      info.Env(), channel, options,
      [scorer = std::move(scorer), other = std::move(other), batch = std::move(batch),
       notes = std::move(notes)](JobContext& context) {
        return compareScorers(*scorer, *other, batch, notes, context);
      },
      [](Napi::Env env, const std::vector<float>& kl) {
        auto object = Napi::Object::New(env);
        object.Set("kl", fromFloats(env, kl));
        return object;
      });
}

Napi::Value startGenerate(const Napi::CallbackInfo& info, Channel& channel, std::shared_ptr<Scorer> scorer) {
  auto source = toTokenRows(info[0], "source");
  GenerateOptions generation;
  RowNotes notes;
  const CallOptions options = readGenerateOptions(info[1], notes, generation);
  return start(
      info.Env(), channel, options,
      [scorer = std::move(scorer), source = std::move(source), notes = std::move(notes),
       generation](JobContext& context) { return scorer->generate(source, notes, generation, context); },
      &fromGeneration);
}

Napi::Value startAnswer(const Napi::CallbackInfo& info, Channel& channel, std::shared_ptr<Scorer> scorer) {
  auto batch = toPairRows(info[0], "batch");
  RowNotes notes;
  GenerateOptions generation;
  const CallOptions options = readGenerateOptions(info[1], notes, generation);
  return start(
      info.Env(), channel, options,
      [scorer = std::move(scorer), batch = std::move(batch), notes = std::move(notes),
       generation](JobContext& context) { return scorer->answer(batch, notes, generation, context); },
      &fromReplies);
}

}  // namespace seprog::binding
