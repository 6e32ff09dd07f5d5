// What memory is for. An allocator tags every block with the role under which it was asked for, so that a peak can be
// told apart into weights, activations and so on.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace seprog {

/// A block keeps the role it was made under for as long as it lives: an optimiser's moments are `Optimizer` between
/// steps too. docs/measuring.md says what falls under which.
enum class MemoryRole : uint8_t {
  Weights,
  Editor,
  Optimizer,
  Activations,
  Gradients,
  Hypergradient,
  KvCache,
  EditMemory,
  Workspace,
  Other,
};

constexpr std::array kMemoryRoleNames{"weights",       "editor",  "optimizer",  "activations", "gradients",
                                      "hypergradient", "kvCache", "editMemory", "workspace",   "other"};
constexpr size_t kMemoryRoles = kMemoryRoleNames.size();
static_assert(kMemoryRoles == static_cast<size_t>(MemoryRole::Other) + 1);

/// Bytes of each role, in the order of the enumeration.
using BytesByRole = std::array<int64_t, kMemoryRoles>;

/// The role of what this thread allocates now: that of the innermost scope; without one `Activations` while a graph is
/// recorded and `Workspace` while none is.
MemoryRole currentMemoryRole();

/// Gives a role to what this thread allocates until the end of the scope. libtorch's backward passes over CPU tensors
/// run on the calling thread and its OpenMP workers allocate no tensors, so that a scope covers what it calls.
class RoleScope {
 public:
  explicit RoleScope(MemoryRole role);
  ~RoleScope();
  RoleScope(const RoleScope&) = delete;
  RoleScope& operator=(const RoleScope&) = delete;

  /// `role` unless a scope around this one has set another: a model that is part of an editor is the editor's.
  static MemoryRole orOuter(MemoryRole role);

 private:
  int8_t outer_;
};

}  // namespace seprog
