#include "gpu_support.h"

#include <algorithm>
#include <regex>

namespace seprog {
namespace {

bool serves(const GpuTarget& target, ComputeCapability capability) {
  if (target.capability > capability) return false;
  return target.forLater || target.capability / 10 == capability / 10;
}

}  // namespace

std::string capabilityText(ComputeCapability capability) {
  return std::to_string(capability / 10) + "." + std::to_string(capability % 10);
}

std::vector<GpuTarget> gpuTargets(const std::string& libtorchConfiguration) {
  static const std::regex code(R"(code=(sm|compute)_(\d{2,3})(?![0-9a-z]))");
  std::vector<GpuTarget> targets;
  const std::sregex_iterator end;
  for (std::sregex_iterator match(libtorchConfiguration.begin(), libtorchConfiguration.end(), code);
       match != end; ++match) {
    targets.push_back({std::stoi((*match)[2]), (*match)[1] == "compute"});
  }
  return targets;
}

std::string whyUnserved(const std::string& device, const std::string& description,
                        ComputeCapability capability, const std::vector<GpuTarget>& targets,
                        const std::string& libtorchVersion) {
  const auto servesIt = [&](const GpuTarget& target) { return serves(target, capability); };
  if (targets.empty() || std::any_of(targets.begin(), targets.end(), servesIt)) return "";
  const auto [oldest, newest] =
      std::minmax_element(targets.begin(), targets.end(),
                          [](const GpuTarget& a, const GpuTarget& b) { return a.capability < b.capability; });
  const bool tooOld = capability < oldest->capability;
  return "expected a GPU of compute capability " + capabilityText(oldest->capability) + " to " +
         capabilityText(newest->capability) + " for `engine.device` but received \"" + device + "\" (" +
         description + ", " + capabilityText(capability) + "), which libtorch " + libtorchVersion +
         (tooOld ? " is too new for: it has no code for so old a GPU. Name an older libtorch, or one built "
                   "for it,"
                 : " is too old for: it has no code for so new a GPU. Name a newer libtorch") +
         " (2.10 to 2.14) with SEPROG_LIBTORCH=FOLDER and run npx seprog-native build, or compute on the CPU";
}

}  // namespace seprog
