// The allocator of planned devices: counts what a real one would hand out, and hands out nothing.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include "../instrument/counting_allocator.h"

namespace seprog {

/// Makes libtorch count meta tensors here. Calling it again is free.
void installPlanAllocator();

MemoryCounts planMemoryCounts(const c10::Device& device);
/// The counts, and in the same instant the peaks start anew at the current figures.
MemoryCounts takePlanMemoryCounts(const c10::Device& device);

/// Between the two every block made or freed goes into `trace`.
void startPlanMemoryTrace(const c10::Device& device, MemoryTrace& trace);
void stopPlanMemoryTrace(const c10::Device& device, MemoryTrace& trace);
/// Puts the present figure into a started trace.
void samplePlanMemory(const c10::Device& device, MemoryTrace& trace);

/// Indices that came from the host stay known: they decide over sizes. The tensor is to fill its storage.
void keepHostValues(const at::Tensor& planned, const at::Tensor& onHost);
/// The values of a planned tensor, on the CPU; undefined where none are known.
at::Tensor hostValues(const at::Tensor& planned);

}  // namespace seprog
