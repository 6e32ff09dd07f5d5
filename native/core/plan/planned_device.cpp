#include "planned_device.h"

#include <array>

#include "plan_allocator.h"
#include "plan_kernels.h"

namespace seprog {
namespace {

/// By device index: twice the rows and once the kind.
constexpr std::array kNames{"plan:cpu", "plan:cuda", "plan:cpu:out-of-scope", "plan:cuda:out-of-scope"};
static_assert(kNames.size() == kPlannedDevices);

thread_local std::optional<c10::Device> plannedOnThread;

c10::Device numbered(size_t index) {
  return c10::Device(c10::DeviceType::Meta, static_cast<c10::DeviceIndex>(index));
}

}  // namespace

c10::Device plannedDevice(PlannedKind kind, PlannedRows rows) {
  return numbered(2 * static_cast<size_t>(rows) + static_cast<size_t>(kind));
}

PlannedKind plannedKind(const c10::Device& device) { return static_cast<PlannedKind>(device.index() % 2); }

std::optional<c10::Device> plannedDeviceFrom(const std::string& name) {
  for (size_t index = 0; index < kNames.size(); ++index) {
    if (name == kNames[index]) return numbered(index);
  }
  return std::nullopt;
}

std::string deviceName(const c10::Device& device) {
  return isPlanned(device) ? kNames[device.index()] : device.str();
}

void planOnThisThread(const c10::Device& device) {
  installPlanAllocator();
  installPlanKernels();
  plannedOnThread = device;
}

std::optional<c10::Device> plannedHere() { return plannedOnThread; }

bool takesCpuKernels(const c10::Device& device) {
  return device.is_cpu() || (isPlanned(device) && plannedKind(device) == PlannedKind::Cpu);
}

at::Scalar assumedScalar(at::ScalarType type) {
  if (type == at::kBool) return true;
  return at::isIntegralType(type, false) ? at::Scalar(0) : at::Scalar(1.0);
}

at::Scalar assumedElement(at::ScalarType type) {
  const bool outOfScope = plannedOnThread && plannedOnThread->index() >= 2;
  return outOfScope && at::isFloatingType(type) ? at::Scalar(-1.0) : assumedScalar(type);
}

}  // namespace seprog
