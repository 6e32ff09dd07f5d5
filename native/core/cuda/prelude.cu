// What every kernel stands on: 16-bit floats without a header, and reductions over the threads of a block. Compiled by
// NVRTC, which gives no standard headers, and in the tests by g++, where fibres stand for threads.
typedef long long Index;

#ifdef __CUDACC_RTC__
struct Half {
  unsigned short bits;
};

__device__ inline float toFloat(Half x) {
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
  return y;
}

__device__ inline void store(Half* place, float x) {
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(place->bits) : "f"(x));
}
#endif

/// Eight bits of exponent, seven of mantissa: the upper half of a float. In integers, so that it works where a GPU has
/// no instructions for it.
struct Bf16 {
  unsigned short bits;
};

__device__ inline float toFloat(Bf16 x) { return __uint_as_float((unsigned)x.bits << 16); }

/// To the nearest, of two equally near to the even one.
__device__ inline void store(Bf16* place, float x) {
  const unsigned bits = __float_as_uint(x);
  const unsigned rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  place->bits = (unsigned short)(x == x ? rounded : 0x7fc0u);
}

__device__ inline float toFloat(float x) { return x; }
__device__ inline void store(float* place, float x) { *place = x; }

__device__ inline float minusInfinity() { return __int_as_float(0xff800000); }

constexpr int kWarp = 32;
constexpr int kMostWarps = 32;

/// A value and where it stands; of equal values the first place counts.
struct Top {
  float value;
  int place;
};

__device__ inline Top better(Top a, Top b) {
  return b.value > a.value || (b.value == a.value && b.place < a.place) ? b : a;
}

/// The best of all threads, known to all of them. Blocks are whole warps.
__device__ inline Top blockTop(Top own) {
  __shared__ Top ofWarp[kMostWarps];
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    Top other;
    other.value = __shfl_xor_sync(0xffffffffu, own.value, distance);
    other.place = __shfl_xor_sync(0xffffffffu, own.place, distance);
    own = better(own, other);
  }
  if (threadIdx.x % kWarp == 0) ofWarp[threadIdx.x / kWarp] = own;
  __syncthreads();
  Top best = ofWarp[0];
  for (int warp = 1; warp < (int)blockDim.x / kWarp; ++warp) best = better(best, ofWarp[warp]);
  __syncthreads();  // the next call writes again
  return best;
}

/// The sum over all threads, known to all of them and the same for all.
__device__ inline float blockSum(float own) {
  __shared__ float ofWarp[kMostWarps];
  for (int distance = kWarp / 2; distance > 0; distance /= 2)
    own += __shfl_xor_sync(0xffffffffu, own, distance);
  if (threadIdx.x % kWarp == 0) ofWarp[threadIdx.x / kWarp] = own;
  __syncthreads();
  float sum = 0.0f;
  for (int warp = 0; warp < (int)blockDim.x / kWarp; ++warp) sum += ofWarp[warp];
  __syncthreads();
  return sum;
}

/// Σ e^(x − top.value) over a row and the row's largest, known to all threads.
struct Normaliser {
  Top top;
  float sum;
};

template <typename T>
__device__ inline Normaliser normaliserOf(const T* row, int count) {
  Top own = {minusInfinity(), 0};
  float part = 0.0f;  // Σ e^(x − own.value) of this thread
  for (int i = threadIdx.x; i < count; i += blockDim.x) {
    const float x = toFloat(row[i]);
    if (x > own.value) {
      part = part * expf(own.value - x) + 1.0f;
      own.value = x;
      own.place = i;
    } else {
      part += x == own.value ? 1.0f : expf(x - own.value);
    }
  }
  Normaliser normaliser;
  normaliser.top = blockTop(own);
  normaliser.sum = blockSum(part == 0.0f ? 0.0f : part * expf(own.value - normaliser.top.value));
  return normaliser;
}

__device__ inline float logOf(Normaliser normaliser) { return normaliser.top.value + logf(normaliser.sum); }
