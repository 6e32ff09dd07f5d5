#include "block_cache.h"

namespace seprog {

void BlockCache::push(Block* block) {
  Block*& head = newestInClass_[block->sizeClass];
  block->newerInClass = nullptr;
  block->olderInClass = head;
  if (head) head->newerInClass = block;
  head = block;

  block->newer = nullptr;
  block->older = newest_;
  if (newest_) newest_->newer = block;
  newest_ = block;
  if (!oldest_) oldest_ = block;
  bytes_ += block->reservedBytes;
}

Block* BlockCache::popNewest(size_t sizeClass) {
  Block* block = newestInClass_[sizeClass];
  if (block) unlink(block);
  return block;
}

Block* BlockCache::popOldest() {
  Block* block = oldest_;
  if (block) unlink(block);
  return block;
}

void BlockCache::unlink(Block* block) {
  (block->newerInClass ? block->newerInClass->olderInClass : newestInClass_[block->sizeClass]) =
      block->olderInClass;
  if (block->olderInClass) block->olderInClass->newerInClass = block->newerInClass;
  (block->newer ? block->newer->older : newest_) = block->older;
  (block->older ? block->older->newer : oldest_) = block->newer;
  bytes_ -= block->reservedBytes;
}

}  // namespace seprog
