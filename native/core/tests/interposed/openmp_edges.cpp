// libgomp is not instrumented: ThreadSanitizer sees neither the start nor the end of a parallel region. These are the two
// edges that OpenMP promises: what was written before a region is seen in it, and what was written in it, after it.
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

namespace {

struct Region {
  void (*body)(void*);
  void* data;
};

void runBody(void* region) {
  auto* own = static_cast<Region*>(region);
  __tsan_acquire(own);
  own->body(own->data);
  __tsan_release(own);
}

}  // namespace

// Stands in front of libgomp's own, for libtorch as well: exported.
extern "C" __attribute__((visibility("default"))) void GOMP_parallel(void (*body)(void*), void* data,
                                                                     unsigned threads, unsigned flags) {
  using Parallel = void(void (*)(void*), void*, unsigned, unsigned);
  static auto* const parallel = reinterpret_cast<Parallel*>(dlsym(RTLD_NEXT, "GOMP_parallel"));
  Region region{body, data};
  __tsan_release(&region);
  parallel(&runBody, &region, threads, flags);
  __tsan_acquire(&region);
}
