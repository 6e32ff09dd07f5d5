// Table-driven checks of coded errors.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "core/error.h"

namespace seprog {

/// Fails the test unless `act` throws `code` with a message that holds `part`.
template <typename Act>
void expectFailure(ErrorCode code, const std::string& part, Act&& act) {
  try {
    act();
    ADD_FAILURE() << "expected " << codeName(code) << " but nothing was thrown; looked for: " << part;
  } catch (const Error& error) {
    EXPECT_STREQ(codeName(error.code()), codeName(code)) << error.what();
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what() << "\nlacks: " << part;
  }
}

}  // namespace seprog
