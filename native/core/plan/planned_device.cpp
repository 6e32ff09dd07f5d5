#include "planned_device.h"

#include "plan_allocator.h"
#include "plan_kernels.h"

namespace seprog {
namespace {

thread_local std::optional<PlannedKind> plannedKind;

}  // namespace

c10::Device plannedDevice(PlannedKind kind) {
  return c10::Device(c10::DeviceType::Meta, static_cast<c10::DeviceIndex>(kind));
}

std::optional<PlannedKind> plannedKindFrom(const std::string& name) {
  if (name == "plan:cpu") return PlannedKind::Cpu;
  if (name == "plan:cuda") return PlannedKind::Cuda;
  return std::nullopt;
}

std::string deviceName(const c10::Device& device) {
  if (!isPlanned(device)) return device.str();
  return device == plannedDevice(PlannedKind::Cpu) ? "plan:cpu" : "plan:cuda";
}

void planOnThisThread(PlannedKind kind) {
  installPlanAllocator();
  installPlanKernels();
  plannedKind = kind;
}

std::optional<c10::Device> plannedHere() {
  return plannedKind ? std::optional(plannedDevice(*plannedKind)) : std::nullopt;
}

at::Scalar assumedValue(at::ScalarType type) {
  if (type == at::kBool) return true;
  return at::isIntegralType(type, false) ? at::Scalar(0) : at::Scalar(1.0);
}

}  // namespace seprog
