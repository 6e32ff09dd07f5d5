// One block of threads per row of logits. V vocabulary.

/// ln softmax at the label and the arg-max; with weights the logits become weight (softmax − one-hot).
template <typename T>
__device__ void score(T* logits_NV, int V, const Index* labels_N, const float* weight_N, float* logProb_N,
                      Index* argmax_N) {
  const Index row = blockIdx.x;
  T* logits = logits_NV + row * V;
  const int label = (int)labels_N[row];
  const float atLabel = toFloat(logits[label]);
  const Normaliser normaliser = normaliserOf(logits, V);
  const Top top = normaliser.top;
  if (threadIdx.x == 0) {
    logProb_N[row] = atLabel - top.value - logf(normaliser.sum);
    argmax_N[row] = top.place;
  }
  if (!weight_N) return;
  const float weight = weight_N[row];
  const float factor = weight / normaliser.sum;
  for (int i = threadIdx.x; i < V; i += blockDim.x) {
    const float share = factor * expf(toFloat(logits[i]) - top.value);
    store(logits + i, i == label ? share - weight : share);
  }
}

#define SCORE(NAME, T)                                                                                 \
  extern "C" __global__ void NAME(T* logits_NV, int V, const Index* labels_N, const float* weight_N,   \
                                  float* logProb_N, Index* argmax_N) {                                 \
    score(logits_NV, V, labels_N, weight_N, logProb_N, argmax_N);                                      \
  }

SCORE(score_f32, float)
SCORE(score_f16, Half)
SCORE(score_bf16, Bf16)
