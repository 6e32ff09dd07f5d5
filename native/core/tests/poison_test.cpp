// Only where AddressSanitizer watches: what is not a tensor's own memory is nobody's.
#include "core/instrument/poison.h"

#if defined(__SANITIZE_ADDRESS__)
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/instrument/counting_allocator.h"

namespace seprog {
namespace {

TEST(PoisonDeathTest, AWriteBehindTheLastElementIsSeen) {
  installCountingAllocator();
  const at::Tensor tensor = at::zeros({10}, at::kFloat);  // in a block of 64 bytes
  volatile float* data = tensor.mutable_data_ptr<float>();
  data[9] = 1;
  EXPECT_DEATH(data[10] = 1, "use-after-poison");
}

TEST(PoisonDeathTest, AWriteToATensorThatIsGoneIsSeen) {
  installCountingAllocator();
  volatile float* data = at::zeros({10}, at::kFloat).mutable_data_ptr<float>();
  EXPECT_DEATH(data[0] = 1, "use-after-poison");
}

}  // namespace
}  // namespace seprog
#endif
