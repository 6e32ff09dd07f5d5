// One block of threads per query. C columns of the block of products, H width of the rows.

/// The block's products become e^(s − max) under the new maximum; what has been summed is brought to it.
template <typename T>
__device__ void advance(T* s_GC, int C, Index first, float* max_G, float* sum_G, float* acc_GH, int H,
                        Index* argmax_G) {
  const Index query = blockIdx.x;
  T* s = s_GC + query * C;
  const float before = max_G[query];
  Top own = {minusInfinity(), C};
  for (int i = threadIdx.x; i < C; i += blockDim.x) {
    const float value = toFloat(s[i]);
    if (value > own.value) own = {value, i};
  }
  const Top top = blockTop(own);
  const float after = top.value > before ? top.value : before;
  float part = 0.0f;
  for (int i = threadIdx.x; i < C; i += blockDim.x) {
    store(s + i, expf(toFloat(s[i]) - after));
    part += toFloat(s[i]);
  }
  const float sum = blockSum(part);
  if (after > before) {
    const float shrink = expf(before - after);
    for (int h = threadIdx.x; h < H; h += blockDim.x) acc_GH[query * H + h] *= shrink;
    if (threadIdx.x == 0) {
      max_G[query] = after;
      sum_G[query] = sum_G[query] * shrink + sum;
      if (argmax_G) argmax_G[query] = first + top.place;
    }
  } else if (threadIdx.x == 0) {
    sum_G[query] += sum;
  }
}

/// Products become weights, gradients for weights become gradients for products.
template <typename T>
__device__ void back(T* s_GC, T* dp_GC, int C, const float* logSum_G, const float* dot_G) {
  const Index query = blockIdx.x;
  for (int i = threadIdx.x; i < C; i += blockDim.x) {
    T* s = s_GC + query * C + i;
    T* dp = dp_GC + query * C + i;
    const float weight = expf(toFloat(*s) - logSum_G[query]);
    store(s, weight);
    store(dp, weight * (toFloat(*dp) - dot_G[query]));
  }
}

#define ADVANCE(NAME, T)                                                                               \
  extern "C" __global__ void NAME(T* s_GC, int C, Index first, float* max_G, float* sum_G,             \
                                  float* acc_GH, int H, Index* argmax_G) {                             \
    advance(s_GC, C, first, max_G, sum_G, acc_GH, H, argmax_G);                                        \
  }

ADVANCE(advance_f32, float)
ADVANCE(advance_f16, Half)
ADVANCE(advance_bf16, Bf16)

#define BACK(NAME, T)                                                                                  \
  extern "C" __global__ void NAME(T* s_GC, T* dp_GC, int C, const float* logSum_G, const float* dot_G) { \
    back(s_GC, dp_GC, C, logSum_G, dot_G);                                                             \
  }

BACK(back_f32, float)
BACK(back_f16, Half)
BACK(back_bf16, Bf16)
