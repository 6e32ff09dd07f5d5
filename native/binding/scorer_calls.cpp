#include "scorer_calls.h"

#include "edited_model_wrap.h"
#include "model_wrap.h"

namespace seprog::binding {

std::shared_ptr<Scorer> toScorer(const Napi::Value& value, const Channel& channel, const char* path) {
  if (EditedModelWrap::from(value)) return EditedModelWrap::argument(value, channel, path).live()->scorer;
  return ModelWrap::argument(value, channel, path).live()->scorer;
}

Napi::Value startScore(const Napi::CallbackInfo& info, Channel& channel, std::shared_ptr<Scorer> scorer) {
  auto batch = toPairRows(info[0], "batch");
  const CallOptions options = readCallOptions(info[1]);
  return start(
      info.Env(), channel, options,
      [scorer = std::move(scorer), batch = std::move(batch)](JobContext& context) {
        return scorer->score(batch, context);
      },
      &fromTokenScores);
}

Napi::Value startCompare(const Napi::CallbackInfo& info, Channel& channel, std::shared_ptr<Scorer> scorer) {
  auto other = toScorer(info[0], channel, "other");
  auto batch = toPairRows(info[1], "batch");
  const CallOptions options = readCallOptions(info[2]);
  return start(
      info.Env(), channel, options,
      [scorer = std::move(scorer), other = std::move(other), batch = std::move(batch)](JobContext& context) {
        return compareScorers(*scorer, *other, batch, context);
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
  const CallOptions options = readCallOptions(info[1], [&](Options& own) {
    generation.maxNewTokens = own.integer("maxNewTokens", generation.maxNewTokens);
    generation.stopAtEnd = own.boolean("stopAtEnd", generation.stopAtEnd);
  });
  if (generation.maxNewTokens < 1) {
    fail(ErrorCode::ConfigInvalid, "expected 1 or more for `options.maxNewTokens` but received " +
                                       std::to_string(generation.maxNewTokens));
  }
  return start(
      info.Env(), channel, options,
      [scorer = std::move(scorer), source = std::move(source), generation](JobContext& context) {
        return scorer->generate(source, generation, context);
      },
      &fromGeneration);
}

}  // namespace seprog::binding
