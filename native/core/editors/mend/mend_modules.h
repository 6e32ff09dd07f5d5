// What MEND trains: editor networks and a learning rate per edited matrix, and which matrix goes through which.
// I inputs and O outputs of a matrix, D = I + O, R rank, M modes, L edited matrices.
#pragma once

#include <string>
#include <vector>

#include "../../models/model.h"
#include "editor_network.h"
#include "mend_spec.h"

namespace seprog {

struct EditedMatrix {
  std::string name;
  int64_t inputs = 0;       // I
  int64_t outputs = 0;      // O
  bool inputMajor = false;  // stored [I, O], as GPT-2's Conv1D has it, else [O, I]
  size_t group = 0;         // which networks and statistics
  int64_t mode = 0;         // its place among the matrices of its group
};

/// Matrices that share networks and statistics.
struct MatrixGroup {
  std::string name;  // of checkpoint entries: "16x24", or the matrix' number where nothing is shared
  int64_t inputs = 0;
  int64_t outputs = 0;
  int64_t modes = 0;  // 0: one matrix, no scale and no offset
};

/// A network on some columns of x = (ū, δ̄); the other columns pass as they are.
struct NetworkPart {
  std::string prefix;
  int64_t first = 0;
  int64_t width = 0;
};

class MendModules {
 public:
  /// Fresh networks for the editable weights of `base`. Same seed, same bits.
  MendModules(const MendSpec& spec, const Model& base);

  /// The same modules over other tensors of the same names and shapes.
  MendModules with(TensorTable parameters) const;
  /// Leaves of a new graph that share storage with these.
  MendModules tracked() const;

  /// Checkpoint names: net<I>x<O>.block<1|2>.{U,V,b,s,o} and alpha, [L].
  const TensorTable& parameters() const { return parameters_; }
  const MendSpec& spec() const { return spec_; }
  const std::vector<EditedMatrix>& matrices() const { return matrices_; }
  const std::vector<MatrixGroup>& groups() const { return groups_; }
  std::vector<NetworkPart> parts(const MatrixGroup& group) const;
  EditorNetwork network(const NetworkPart& part) const;
  const at::Tensor& alpha_L() const { return parameters_.at("alpha"); }

 private:
  MendSpec spec_;
  std::vector<EditedMatrix> matrices_;
  std::vector<MatrixGroup> groups_;
  TensorTable parameters_;
};

/// Gradients of 0 for every parameter.
Gradients zeroGradients(const TensorTable& parameters);

}  // namespace seprog
