// What operators answer on a planned device where only data could tell.
#pragma once

namespace seprog {

/// Registers with libtorch what its meta device lacks. Calling it again is free.
void installPlanKernels();

}  // namespace seprog
