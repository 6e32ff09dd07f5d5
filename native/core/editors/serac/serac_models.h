// The two models of a SERAC editor: each starts from a folder of its own or from the base, all weights of both are
// trained.
#pragma once

#include <string_view>

#include "../../models/model.h"
#include "../../tensor/weights.h"
#include "serac_spec.h"

namespace seprog {

struct SeracModels {
  Model classifier;      // encoder, with a head of two classes where both texts are read as one
  Model counterfactual;  // answers an input behind an edit

  /// All weights: "classifier.<name>" and "counterfactual.<name>".
  TensorTable parameters() const;
  /// The same models with these weights.
  SeracModels with(const TensorTable& parameters) const;
  /// Leaves that record gradients.
  SeracModels tracked() const;
  /// Weights of their own.
  SeracModels clone() const;
};

inline constexpr std::string_view kClassifierPrefix = "classifier.";
inline constexpr std::string_view kCounterfactualPrefix = "counterfactual.";

/// A table with `prefix` before every name.
TensorTable prefixed(std::string_view prefix, TensorTable table);

/// Both as they start. A head that a checkpoint lacks, or has for another number of classes, is fresh. Throws
/// UNSUPPORTED for a classifier that is no BERT or DistilBERT, and for a counterfactual model that answers in other
/// tokens or classes than the base; else as loadModel() does.
SeracModels startSerac(const SeracSpec& spec, const Model& base);

}  // namespace seprog
