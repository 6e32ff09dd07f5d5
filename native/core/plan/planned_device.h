// Devices that are planned: libtorch's meta device, whose tensors have shapes and sizes but no data. The same code
// runs there as on the real device, and what it would allocate is counted (docs/planning.md).
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <optional>
#include <string>

namespace seprog {

/// "plan:cpu" and "plan:cuda". One meta device each: they differ in the paths that kernels of our own take and in how
/// blocks are rounded.
enum class PlannedKind : c10::DeviceIndex { Cpu = 0, Cuda = 1 };

c10::Device plannedDevice(PlannedKind kind);
/// The kind that `name` asks for: "plan:cpu" or "plan:cuda".
std::optional<PlannedKind> plannedKindFrom(const std::string& name);
inline bool isPlanned(const c10::Device& device) { return device.is_meta(); }
/// "cpu", "cuda:0", "plan:cpu": what an engine is opened with.
std::string deviceName(const c10::Device& device);

/// Makes this thread allocate its meta tensors on a planned device, and the process's operators answer where only
/// data could (plan_kernels.h). To be called before the first tensor of the thread.
void planOnThisThread(PlannedKind kind);
/// What this thread plans on, if anything.
std::optional<c10::Device> plannedHere();

/// Whether the kernels of our own for the CPU serve tensors of this device: on a planned CPU they allocate what they
/// always do and leave the loops out.
inline bool takesCpuKernels(const c10::Device& device) {
  return device.is_cpu() ||
         (device.is_meta() && device.index() == static_cast<c10::DeviceIndex>(PlannedKind::Cpu));
}
inline bool holdsData(const at::Tensor& tensor) { return !tensor.is_meta(); }

/// What a value is taken for that a planned device would have computed and the host reads: 1 for numbers, which makes
/// losses finite and puts every row in scope of an edit; 0 for ids and counts; true for flags.
at::Scalar assumedValue(at::ScalarType type);

}  // namespace seprog
