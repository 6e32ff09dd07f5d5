// At which positions an edited model is compared with its reference (metrics.md section 6).
#pragma once

#include "../models/model.h"

namespace seprog {

/// The rows as localityLoss() reads them: the target tokens, and of a family that goes on where its source ends
/// every position of source and target, the last one included.
PairRows localityRows(const Architecture& family, const PairRows& rows);

}  // namespace seprog
