// The whole of what is compared between a GPU and the CPU. Ends with 77 and one line where there is no GPU.
#include <gtest/gtest.h>

#include <iostream>

#include "core/error.h"
#include "core/instrument/counting_allocator.h"
#include "device_under_test.h"

int main(int count, char** arguments) {
  testing::InitGoogleTest(&count, arguments);
  seprog::installCountingAllocator();
  try {
    const std::string name = seprog::gpu::deviceName();
    seprog::gpu::device();
    for (const seprog::DeviceInfo& info : seprog::listDevices()) {
      if (info.name != name) continue;
      std::cout << "compared with the CPU: " << name << ", " << info.description
                << (info.computeCapability.empty() ? "" : ", compute capability " + info.computeCapability)
                << std::endl;
    }
  } catch (const seprog::Error& error) {
    constexpr int kSkipped = 77;
    std::cout << "no device: nothing was run. " << error.what() << std::endl;
    return error.code() == seprog::ErrorCode::Unsupported ? kSkipped : 1;
  }
  return RUN_ALL_TESTS();
}
