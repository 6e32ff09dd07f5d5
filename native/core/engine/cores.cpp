#include "cores.h"

#include <sched.h>

#include <cstdlib>

namespace seprog {

int usableCores() {
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof(mask), &mask) != 0) return 1;
  const int count = CPU_COUNT(&mask);
  return count > 0 ? count : 1;
}

int defaultThreads() {
  if (const char* granted = std::getenv("SLURM_CPUS_PER_TASK")) {
    const int count = std::atoi(granted);
    if (count > 0) return count;
  }
  return usableCores();
}

}  // namespace seprog
