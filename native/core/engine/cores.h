// How many cores this process may use.
#pragma once

namespace seprog {

/// The size of the affinity mask: what a batch system or a container grants, not what the machine has.
int usableCores();

/// SLURM_CPUS_PER_TASK where set, for Slurm does not always confine a task; else usableCores().
int defaultThreads();

}  // namespace seprog
