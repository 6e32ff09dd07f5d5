// What the programs of this folder share: random questions, what a measurement says, and a main.
#pragma once

#include <ctime>
#include <exception>
#include <iostream>

#include "core/instrument/counting_allocator.h"
#include "core/instrument/meter.h"
#include "core/tensor/random.h"
#include "core/tensor/token_batch.h"

namespace seprog::bench {

/// Rows of `length` ids, ragged ones of half to the whole of it: drawn from the `ids` from 3 on, the last one `stop`.
inline TokenRows randomRows(Random& random, int64_t count, int64_t length, bool ragged, int64_t ids,
                            int64_t stop) {
  TokenRows rows;
  for (int64_t b = 0; b < count; ++b) {
    const int64_t least = ragged ? (length + 1) / 2 : length;
    const auto own = least + static_cast<int64_t>(random.uniform() * static_cast<double>(length - least + 1));
    for (int64_t t = 0; t + 1 < own; ++t) {
      rows.ids.push_back(3 + static_cast<int32_t>(random.uniform() * static_cast<double>(ids)));
    }
    rows.ids.push_back(static_cast<int32_t>(stop));
    rows.lengths.push_back(static_cast<int32_t>(own));
  }
  return rows;
}

/// Of the whole process.
inline double cpuMsSince(std::clock_t start) {
  return 1e3 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

/// One line of JSON: wall milliseconds and peak MiB of each phase.
inline void printPhases(const Measurement& measured) {
  std::cout << "{";
  for (size_t i = 0; i < measured.phases.size(); ++i) {
    const PhaseRecord& phase = measured.phases[i];
    std::cout << (i == 0 ? "" : ", ") << "\"" << phase.name << "\": ["
              << static_cast<double>(phase.wallNs) * 1e-6 << ", "
              << static_cast<double>(phase.peakBytes) / (1 << 20) << "]";
  }
  std::cout << "}" << std::endl;
}

/// The status of a process that runs `body` under the counting allocator: an error is its message and 1.
template <typename Body>
int run(Body&& body) {
  try {
    installCountingAllocator();
    return body();
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}

}  // namespace seprog::bench
