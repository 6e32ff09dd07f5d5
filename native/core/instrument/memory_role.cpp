#include "memory_role.h"

#include <c10/core/GradMode.h>

namespace seprog {
namespace {

constexpr int8_t kNone = -1;
thread_local int8_t innermost = kNone;

}  // namespace

MemoryRole currentMemoryRole() {
  if (innermost != kNone) return static_cast<MemoryRole>(innermost);
  return c10::GradMode::is_enabled() ? MemoryRole::Activations : MemoryRole::Workspace;
}

RoleScope::RoleScope(MemoryRole role) : outer_(innermost) { innermost = static_cast<int8_t>(role); }
RoleScope::~RoleScope() { innermost = outer_; }

MemoryRole RoleScope::orOuter(MemoryRole role) {
  return innermost == kNone ? role : static_cast<MemoryRole>(innermost);
}

}  // namespace seprog
