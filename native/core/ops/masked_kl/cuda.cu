// One block of threads per row of logits. V vocabulary.

/// Σ p (ln p − ln q) of the row; with weights the logits q become weight (q − p). To each term its own q − p is added,
/// whose sum is 0: what is left, p (d + e^−d − 1), is of second order where two models agree, and taken from its series
/// for a small d.
template <typename T>
__device__ void divergence(const T* p_NV, T* q_NV, int V, const float* weight_N, float* kl_N) {
  const Index row = blockIdx.x;
  const T* p = p_NV + row * V;
  T* q = q_NV + row * V;
  const float logSumP = logOf(normaliserOf(p, V));
  const float logSumQ = logOf(normaliserOf(q, V));
  const float weight = weight_N ? weight_N[row] : 0.0f;
  float part = 0.0f;
  for (int i = threadIdx.x; i < V; i += blockDim.x) {
    const float logP = toFloat(p[i]) - logSumP;
    const float logQ = toFloat(q[i]) - logSumQ;
    const float d = logP - logQ;
    const float P = expf(logP);
    float apart = expf(logQ) - P;
    float share = P * d + apart;
    if (d > -0.25f && d < 0.25f) {
      const float curve =
          d * d * (0.5f - d * (1.0f / 6 - d * (1.0f / 24 - d * (1.0f / 120 - d * (1.0f / 720)))));
      share = P * curve;
      apart = P * (curve - d);
    }
    part += share;
    if (weight_N) store(q + i, weight * apart);
  }
  const float sum = blockSum(part);
  if (threadIdx.x == 0) kl_N[row] = sum;
}

#define DIVERGENCE(NAME, T)                                                                             \
  extern "C" __global__ void NAME(const T* p_NV, T* q_NV, int V, const float* weight_N, float* kl_N) { \
    divergence(p_NV, q_NV, V, weight_N, kl_N);                                                          \
  }

DIVERGENCE(divergence_f32, float)
DIVERGENCE(divergence_f16, Half)
DIVERGENCE(divergence_bf16, Bf16)
