#include "edit_encoder.h"

#include "../../error.h"

namespace seprog {
namespace {

struct EncoderClass {
  const char* modelType;
  const char* name;
};
/// The Hugging Face classes that are the encoder of a family alone.
constexpr EncoderClass kEncoderClasses[] = {
    {"t5", "T5EncoderModel"},
    {"bart", "BartEncoder"},
    {"bert", "BertModel"},
    {"distilbert", "DistilBertModel"},
};

const char* encoderClass(const Json& config) {
  const Json* type = config.find("model_type");
  std::string known;
  for (const EncoderClass& item : kEncoderClasses) {
    if (type != nullptr && type->isString() && type->string() == item.modelType) return item.name;
    known += (known.empty() ? "\"" : ", \"") + std::string(item.modelType) + "\"";
  }
  fail(ErrorCode::Unsupported, "expected a model of one of the families " + known +
                                   " for `editor.editEncoder` but received " +
                                   (type == nullptr ? "nothing" : type->dump()) +
                                   "; name such a folder with {source: \"directory\", path}");
}

Json encoderConfig(const Json& whole) {
  const char* name = encoderClass(whole);
  Json::Object config;
  for (const auto& [key, value] : whole.object()) {
    if (key != "architectures") config.emplace_back(key, value);
  }
  config.emplace_back("architectures", Json::Array{name});
  return Json(std::move(config));
}

Model onlyExpected(const std::shared_ptr<const Architecture>& encoder, const Model& model) {
  TensorTable table;
  for (const auto& [name, shape] : encoder->expectedWeights()) table.emplace(name, model.weights.at(name));
  return Model{encoder, Weights(std::move(table)), model.device};
}

}  // namespace

Model encoderOf(const Model& model) {
  return onlyExpected(makeArchitecture(encoderConfig(model.architecture->config())), model);
}

Model loadEncoder(const std::string& directory, const at::Device& device) {
  const Model loaded = loadModel(directory, encoderConfig(readConfig(directory)), device);
  return onlyExpected(loaded.architecture, loaded);
}

}  // namespace seprog
