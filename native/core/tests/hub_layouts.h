// The files that the Hugging Face hub ships for the models of models.md section 1, as random numbers: the
// configuration of each, and the names, shapes and oddities of its tensors.
#pragma once

#include <string>
#include <vector>

#include "core/json.h"
#include "core/models/model.h"
#include "core/tensor/weights.h"

namespace seprog {

struct HubTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::string loadedAs;     // empty: dropped
  std::string sameAs = {};  // the tensor whose values, and in a PyTorch file whose memory, this one shares
  at::ScalarType type = at::kFloat;
};

struct HubModel {
  std::string name;
  Json config;
  std::vector<HubTensor> tensors;
  bool asEncoder = false;  // loaded as an edit encoder: no decoder, no head
  bool addPadToken = false;
};

/// Tiny: the same files of a model of the same make, small enough for every test run.
enum class HubSize { Real, Tiny };

HubModel t5LargeSsmNq(HubSize size);
HubModel t5Small(HubSize size);
HubModel t5SmallEncoder(HubSize size);
/// Saved from the bare BartModel.
HubModel bartBase(HubSize size);
/// As released: no classifier, so only an edit encoder.
HubModel bertBaseUncased(HubSize size);
/// The released file with the one-logit head of a task.
HubModel bertBaseUncasedClassifier(HubSize size);
/// Names without `transformer.`, mask buffers.
HubModel distilgpt2(HubSize size);
/// The same model saved from the class with the head: prefix, tied lm_head, masks of another type.
HubModel distilgpt2WithHead(HubSize size);
HubModel distilbertBaseCased(HubSize size);
HubModel distilbertBaseCasedClassifier(HubSize size);
std::vector<HubModel> hubModels(HubSize size);

/// The values of a tensor in the file: the same at every call.
at::Tensor hubValues(const HubModel& model, const HubTensor& tensor);

enum class HubFile { Safetensors, TorchZip, TorchLegacy };
/// config.json and the weights, into an existing folder.
void writeHubFolder(const HubModel& model, const std::string& directory, HubFile file);

/// Loads it as its kind is loaded and fails the test unless the weights are exactly the file's, under the names
/// that the architecture reads, and nothing else.
Model expectHubFolderLoads(const HubModel& model, const std::string& directory);

}  // namespace seprog
