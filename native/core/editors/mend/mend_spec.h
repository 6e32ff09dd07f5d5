// The decoded options of a MEND editor (mend.md sections 4 to 7).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "../../json.h"
#include "../../train/optimizer.h"

namespace seprog {

/// How the gradient of the outer loss reaches the editor networks: in stages that recompute what they need chunk by
/// chunk, or through one graph of everything.
enum class Hypergradient { TwoStage, CreateGraph };
/// Identity: U starts at zero and every block adds to its input. Xavier: U and V start at random and a block has no
/// residual.
enum class NetworkStart { Identity, Xavier };
/// What δ belongs to: L_edit as the mean over all tokens of the edits, so that it shrinks with their number, or as the
/// sum, which makes the update of an edit the same whichever others there are.
enum class EditReduction { Mean, Sum };
enum class ProjectionDraw { Normal, Xavier };
/// What a network reads and gives: both factors as one vector, each by a network of its own, or one of them alone while
/// the other passes as it is.
enum class FactorTransform { Combined, Separate, InputsOnly, DeltasOnly, SmallerOnly };

struct MendSpec {
  uint64_t seed = 0;
  double cEdit = 0.1;
  double cLoc = 1.0;
  double alphaInit = 1e-4;
  double alphaLearningRate = 1e-4;
  double clipNorm = 100.0;
  int64_t rank = 1920;
  int64_t microBatch = 16;
  int64_t keepMiB = 64;  // activations of the networks that a step may keep instead of computing them twice
  Hypergradient hypergradient = Hypergradient::TwoStage;
  bool shared = true;   // matrices of one shape share a network, told apart by modes
  bool norm = true;     // factors are normalised by running statistics
  bool descent = true;  // W − α∇̃W; else plus
  NetworkStart init = NetworkStart::Identity;
  ProjectionDraw projectionDraw = ProjectionDraw::Normal;  // of V where the start is the identity
  FactorTransform transform = FactorTransform::Combined;
  EditReduction reduction = EditReduction::Mean;
  AdamOptions optimizer;

  double sign() const { return descent ? -1.0 : 1.0; }
};

/// Throws CONFIG_INVALID naming the option.
MendSpec readMendSpec(const Json& spec);

/// What editor.json keeps of the spec, defaults filled in.
Json resolvedSpec(const MendSpec& spec);

/// The options that decide what trained weights mean.
const std::vector<std::string>& meaningOfMend();

}  // namespace seprog
