// One warp per row and head. R rows, H heads of C channels, D = H·C; a span's positions pass one by one through a running
// softmax, and nothing of them is kept.

constexpr int kMostShares = 4;  // channels that a lane holds: heads of up to 128

template <typename T>
__device__ void attend(const T* q_RD, Index qStride, const T* k_ND, const T* v_ND, const Index* first_R,
                       const Index* count_R, int R, int H, int C, float scale, const T* bias_HT,
                       Index biasStride, T* out_RD) {
  const Index pair = (Index)blockIdx.x * (blockDim.x / kWarp) + threadIdx.x / kWarp;
  if (pair >= (Index)R * H) return;  // whole warps: no shuffle waits for them
  const int lane = threadIdx.x % kWarp;
  const Index row = pair / H;
  const int head = (int)(pair % H);
  const Index D = (Index)H * C;
  const T* q = q_RD + row * qStride + head * C;
  float query[kMostShares], acc[kMostShares];
  for (int share = 0; share < kMostShares; ++share) {
    const int c = lane + share * kWarp;
    query[share] = c < C ? toFloat(q[c]) * scale : 0.0f;
    acc[share] = 0.0f;
  }
  float top = minusInfinity(), sum = 0.0f;
  const Index count = count_R[row];
  for (Index t = 0; t < count; ++t) {
    const Index position = (first_R[row] + t) * D + head * C;
    float s = 0.0f;
    for (int share = 0; share < kMostShares; ++share) {
      const int c = lane + share * kWarp;
      if (c < C) s += query[share] * toFloat(k_ND[position + c]);
    }
    for (int distance = kWarp / 2; distance > 0; distance /= 2) s += __shfl_xor_sync(0xffffffffu, s, distance);
    if (bias_HT) s += toFloat(bias_HT[head * biasStride + t]);
    float shrink = 1.0f, weight = 1.0f;
    if (s > top) {
      shrink = expf(top - s);
      top = s;
    } else if (s != top) {
      weight = expf(s - top);
    }
    sum = sum * shrink + weight;
    for (int share = 0; share < kMostShares; ++share) {
      const int c = lane + share * kWarp;
      if (c < C) acc[share] = acc[share] * shrink + weight * toFloat(v_ND[position + c]);
    }
  }
  for (int share = 0; share < kMostShares; ++share) {
    const int c = lane + share * kWarp;
    if (c < C) store(out_RD + row * D + head * C + c, count > 0 ? acc[share] / sum : 0.0f);
  }
}

#define ATTEND(NAME, T)                                                                                    \
  extern "C" __global__ void NAME(const T* q_RD, Index qStride, const T* k_ND, const T* v_ND,              \
                                  const Index* first_R, const Index* count_R, int R, int H, int C,         \
                                  float scale, const T* bias_HT, Index biasStride, T* out_RD) {            \
    attend(q_RD, qStride, k_ND, v_ND, first_R, count_R, R, H, C, scale, bias_HT, biasStride, out_RD);      \
  }

ATTEND(attend_f32, float)
ATTEND(attend_f16, Half)
ATTEND(attend_bf16, Bf16)
