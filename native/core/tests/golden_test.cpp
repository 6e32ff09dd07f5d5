// Walks every fixture folder. A fixture that this build has no check for is a failure, never a silence.
#include "golden.h"

#include <iostream>

#include "../error.h"

namespace seprog {
namespace {

struct Handled {
  const char* kind;
  const char* family;
  void (*check)(Golden& golden);  // null: checked by the tests in TypeScript
};
constexpr Handled kHandled[] = {
    {"family", "t5", checkFamily},
    {"prefix", "t5", checkPrefix},
    {"seprog_step", "t5", checkSeprogStep},
    {"family", "bart", checkFamily},
    {"prefix", "bart", checkPrefix},
    {"seprog_step", "bart", checkSeprogStep},
    {"family", "gpt2", checkContinuationFamily},
    {"prefix", "gpt2", checkContinuationPrefix},
    {"seprog_step", "gpt2", checkSeprogStep},
    {"family", "bert", checkFamily},
    {"prefix", "bert", checkPrefix},
    {"seprog_step", "bert", checkSeprogStep},
    {"family", "distilbert", checkFamily},
    {"tokenizer", "t5", nullptr},
    {"tokenizer", "bart", nullptr},
    {"tokenizer", "bert", nullptr},
    {"tokenizer", "gpt2", nullptr},
    {"metrics", "", checkMetrics},
    {"checkpoint", "", checkCheckpoint},
    {"enn", "t5", checkEnn},
    {"enn", "bart", checkEnn},
    {"enn", "gpt2", checkEnn},
    {"enn", "bert", checkEnn},
    {"inner_loop", "t5", checkInnerLoop},
    {"inner_loop", "bart", checkInnerLoop},
    {"inner_loop", "bert", checkInnerLoop},
    {"serac", "t5", checkSerac},
    {"serac", "bert", checkSerac},
    {"slag", "bart", checkSlag},
    {"slag", "bert", checkSlag},
    {"ft", "t5", checkFt},
    {"ft", "bart", checkFt},
    {"ft", "gpt2", checkFt},
    {"ft", "bert", checkFt},
    {"mend", "t5", checkMend},
    {"mend", "bart", checkMend},
    {"mend", "gpt2", checkMend},
    {"mend", "bert", checkMend},
};

const Handled* handlerOf(const Golden& golden) {
  for (const Handled& item : kHandled) {
    if (golden.kind() == item.kind && golden.family() == item.family) return &item;
  }
  return nullptr;
}

TEST(GoldenFixtures, EachAgreesWithinItsTolerance) {
  const std::vector<std::string> folders = goldenFolders();
  ASSERT_FALSE(folders.empty()) << "no case.json below " << goldenRoot();
  int compared = 0;
  for (const std::string& folder : folders) {
    SCOPED_TRACE(folder);
    try {
      Golden golden(folder);
      const Handled* handler = handlerOf(golden);
      if (handler == nullptr) {
        ADD_FAILURE() << "unsupported family or kind: " << golden.kind() << " " << golden.family();
        continue;
      }
      if (handler->check == nullptr) continue;
      handler->check(golden);
      golden.finish();
      ++compared;
      std::cout << folder << ": worst share of tolerance " << golden.worstShare() << " ("
                << golden.worstName() << ")\n";
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
  }
  EXPECT_GT(compared, 0) << "no fixture of the core below " << goldenRoot();
}

}  // namespace
}  // namespace seprog
