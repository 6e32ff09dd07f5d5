// Freed blocks by size class, and the order in which they were freed. Not thread-safe: the allocator holds
// the lock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "memory_role.h"
#include "size_class.h"

namespace seprog {

/// Stands in front of the bytes handed out, in the first 64 bytes of a block.
struct alignas(kBlockAlignment) Block {
  size_t requestedBytes;
  size_t reservedBytes;  // of the whole block
  uint32_t sizeClass;
  MemoryRole role;
  // Neighbours while the block is cached.
  Block* newerInClass;
  Block* olderInClass;
  Block* newer;
  Block* older;

  void* data() { return this + 1; }
  size_t dataBytes() const { return reservedBytes - sizeof(Block); }
  static Block* of(void* data) { return static_cast<Block*>(data) - 1; }
};
static_assert(sizeof(Block) == kBlockAlignment);

class BlockCache {
 public:
  void push(Block* block);
  /// The block of this class that was freed last (its pages are the warmest), or nullptr.
  Block* popNewest(size_t sizeClass);
  /// The block that was freed first, or nullptr.
  Block* popOldest();
  size_t bytes() const { return bytes_; }

 private:
  void unlink(Block* block);

  std::array<Block*, kSizeClasses> newestInClass_{};
  Block* newest_ = nullptr;
  Block* oldest_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace seprog
