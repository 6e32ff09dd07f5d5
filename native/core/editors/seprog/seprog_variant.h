// SEPROG with one of its ideas switched off, or read off the truth (ablations.md, docs/ablations.md).
#pragma once

#include <string>
#include <vector>

namespace seprog {

enum class Variant { Seprog, Finetune, NoClassifier, NoSelect, OracleGate, OracleEdit, SoftGate, NoAtt };
/// When the base is fine-tuned: together with the modules, or anew for every set of edits.
enum class Finetune { Joint, EditTime };
enum class FinetuneParameters { Last2, All };

/// In the order of the enumerations.
const std::vector<std::string>& variantNames();
const std::vector<std::string>& finetuneNames();
const std::vector<std::string>& finetuneParametersNames();

}  // namespace seprog
