// Tables of learned position vectors.
#pragma once

#include <cstdint>

namespace seprog {

/// Throws DATA_INVALID when a row has more positions than the table; `what` names the row's side.
void demandPositions(int64_t positions, int64_t table, const char* what);

}  // namespace seprog
