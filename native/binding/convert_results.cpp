#include <algorithm>

#include "convert.h"

namespace seprog::binding {
namespace {

Napi::Value fromNanoseconds(Napi::Env env, int64_t nanoseconds) {
  return nanoseconds < 0 ? env.Null() : Napi::Number::New(env, static_cast<double>(nanoseconds));
}

Napi::Value fromFlops(Napi::Env env, const std::optional<FlopCounts>& flops) {
  if (!flops) return env.Null();
  auto object = Napi::Object::New(env);
  object.Set("forward", static_cast<double>(flops->forward));
  object.Set("backward", static_cast<double>(flops->backward));
  object.Set("secondOrder", static_cast<double>(flops->secondOrder));
  return object;
}

Napi::Value fromRoles(Napi::Env env, const RoleBytes& roles) {
  if (roles.empty()) return env.Null();
  auto object = Napi::Object::New(env);
  for (const auto& [role, bytes] : roles) object.Set(role, static_cast<double>(bytes));
  return object;
}

Napi::Object fromPhase(Napi::Env env, const PhaseRecord& phase) {
  auto object = Napi::Object::New(env);
  object.Set("name", phase.name);
  object.Set("calls", static_cast<double>(phase.calls));
  object.Set("wallNs", static_cast<double>(phase.wallNs));
  object.Set("selfWallNs", static_cast<double>(phase.selfWallNs));
  object.Set("deviceNs", fromNanoseconds(env, phase.deviceNs));
  object.Set("selfDeviceNs", fromNanoseconds(env, phase.selfDeviceNs));
  object.Set("baselineBytes", static_cast<double>(phase.baselineBytes));
  object.Set("peakBytes", static_cast<double>(phase.peakBytes));
  object.Set("peakReservedBytes", static_cast<double>(phase.peakReservedBytes));
  object.Set("flops", fromFlops(env, phase.flops));
  object.Set("rolesAtPeak", fromRoles(env, phase.rolesAtPeak));
  return object;
}

/// Where each span and each sample of memory lies, as columns.
Napi::Object fromDetail(Napi::Env env, const Measurement& measurement) {
  const auto column = [&](const auto& rows, auto read) {
    auto array = Napi::Float64Array::New(env, rows.size());
    std::transform(rows.begin(), rows.end(), array.Data(),
                   [&](const auto& row) { return static_cast<double>(read(row)); });
    return array;
  };
  auto object = Napi::Object::New(env);
  object.Set("spanPhase", column(measurement.spans, [](const Span& span) { return span.phase; }));
  object.Set("spanBeginNs", column(measurement.spans, [](const Span& span) { return span.beginNs; }));
  object.Set("spanEndNs", column(measurement.spans, [](const Span& span) { return span.endNs; }));
  object.Set("sampleNs", column(measurement.timeline, [](const MemorySample& sample) { return sample.ns; }));
  object.Set("sampleBytes",
             column(measurement.timeline, [](const MemorySample& sample) { return sample.allocatedBytes; }));
  return object;
}

/// Nothing for a scorer without a scope classifier.
void setScope(Napi::Object object, const ScopeDecision& scope) {
  if (scope.logit.empty()) return;
  auto decision = Napi::Object::New(object.Env());
  decision.Set("logit", fromFloats(object.Env(), scope.logit));
  decision.Set("selected", fromInts(object.Env(), scope.selected));
  object.Set("scope", decision);
}

void setScores(Napi::Object object, const TokenScores& scores) {
  object.Set("logProb", fromFloats(object.Env(), scores.logProb));
  object.Set("argmax", fromInts(object.Env(), scores.argmax));
  object.Set("rowLoss", fromFloats(object.Env(), scores.rowLoss));
}

}  // namespace

Napi::Value fromFloats(Napi::Env env, const std::vector<float>& values) {
  auto array = Napi::Float32Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

Napi::Value fromInts(Napi::Env env, const std::vector<int32_t>& values) {
  auto array = Napi::Int32Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

Napi::Object fromTokenRows(Napi::Env env, const TokenRows& rows) {
  auto object = Napi::Object::New(env);
  object.Set("ids", fromInts(env, rows.ids));
  object.Set("lengths", fromInts(env, rows.lengths));
  return object;
}

Napi::Object fromTokenScores(Napi::Env env, const TokenScores& scores) {
  auto object = Napi::Object::New(env);
  setScores(object, scores);
  setScope(object, scores.scope);
  return object;
}

Napi::Object fromGeneration(Napi::Env env, const Generation& generation) {
  auto object = Napi::Object::New(env);
  object.Set("tokens", fromTokenRows(env, generation.tokens));
  setScope(object, generation.scope);
  return object;
}

Napi::Object fromReplies(Napi::Env env, const Replies& replies) {
  Napi::Object object = fromGeneration(env, replies.generation);
  setScores(object, replies.scores);
  return object;
}

Napi::Object fromFigures(Napi::Env env, const Figures& figures) {
  auto named = Napi::Object::New(env);
  for (const auto& [name, value] : figures) named.Set(name, value);
  auto object = Napi::Object::New(env);
  object.Set("figures", named);
  return object;
}

Napi::Object fromMeasurement(Napi::Env env, const Measurement& measurement) {
  auto phases = Napi::Array::New(env, measurement.phases.size());
  for (uint32_t i = 0; i < measurement.phases.size(); ++i)
    phases.Set(i, fromPhase(env, measurement.phases[i]));
  auto object = Napi::Object::New(env);
  object.Set("total", fromPhase(env, measurement.total));
  object.Set("queuedNs", static_cast<double>(measurement.queuedNs));
  object.Set("phases", phases);
  if (!measurement.timeline.empty()) object.Set("detail", fromDetail(env, measurement));
  return object;
}

}  // namespace seprog::binding
