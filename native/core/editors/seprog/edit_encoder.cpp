#include "edit_encoder.h"

#include "../../error.h"

namespace seprog {
namespace {

/// The Hugging Face class that is the encoder of a family alone.
const char* encoderClass(const std::string& family) {
  if (family == "t5") return "T5EncoderModel";
  fail(ErrorCode::Unsupported,
       "expected a model of the family \"t5\" for `editor.editEncoder` but received \"" + family +
           "\"; name a T5 folder with {source: \"directory\", path}");
}

}  // namespace

Model encoderOf(const Model& model) {
  Json::Object config;
  for (const auto& [key, value] : model.architecture->config().object()) {
    if (key != "architectures") config.emplace_back(key, value);
  }
  config.emplace_back("architectures", Json::Array{encoderClass(model.architecture->family())});
  const std::shared_ptr<const Architecture> encoder = makeArchitecture(Json(std::move(config)));
  TensorTable table;
  for (const auto& [name, shape] : encoder->expectedWeights()) table.emplace(name, model.weights.at(name));
  return Model{encoder, Weights(std::move(table)), model.device};
}

Model loadEncoder(const std::string& directory, const at::Device& device) {
  return encoderOf(loadModel(directory, device));
}

}  // namespace seprog
