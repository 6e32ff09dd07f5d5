// Devices that are planned: libtorch's meta device, whose tensors have shapes and sizes but no data. The same code
// runs there as on the real device, and what it would allocate is counted (docs/planning.md).
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstddef>
#include <optional>
#include <string>

namespace seprog {

/// The real device that a planned one stands for. They differ in the paths that kernels of our own take and in how
/// blocks are rounded.
enum class PlannedKind { Cpu, Cuda };

/// Whether rows are taken to be in the scope of an edit: nothing that holds no data can tell.
enum class PlannedRows { InScope, OutOfScope };

constexpr size_t kPlannedDevices = 4;
/// A meta device of its own for each.
c10::Device plannedDevice(PlannedKind kind, PlannedRows rows = PlannedRows::InScope);
PlannedKind plannedKind(const c10::Device& device);
/// "plan:cpu" or "plan:cuda", and with ":out-of-scope" behind it; nothing for other names.
std::optional<c10::Device> plannedDeviceFrom(const std::string& name);
inline bool isPlanned(const c10::Device& device) { return device.is_meta(); }
/// "cpu", "cuda:0", "plan:cpu": what an engine is opened with.
std::string deviceName(const c10::Device& device);

/// Makes this thread allocate its meta tensors on a planned device, and the process's operators answer where only
/// data could (plan_kernels.h). To be called before the first tensor of the thread.
void planOnThisThread(const c10::Device& device);
/// What this thread plans on, if anything.
std::optional<c10::Device> plannedHere();

/// Whether the kernels of our own for the CPU serve tensors of this device: on a planned CPU they allocate what they
/// always do and leave the loops out.
bool takesCpuKernels(const c10::Device& device);
inline bool holdsData(const at::Tensor& tensor) { return !tensor.is_meta(); }

/// What a value is taken for that a planned device would have computed and the host reads. A number by itself is 1, so
/// that losses are finite; among the numbers of a tensor 1 puts a row in scope of an edit, −1 out of it. Ids and counts
/// are 0, flags true.
at::Scalar assumedScalar(at::ScalarType type);
at::Scalar assumedElement(at::ScalarType type);

}  // namespace seprog
