// One block of threads per row of logits. V vocabulary.

/// ln softmax at the label and the arg-max; with weights the logits become weight (softmax − one-hot).
template <typename T>
__device__ void score(T* logits_NV, int V, const Index* labels_N, const float* weight_N, float* logProb_N,
                      Index* argmax_N) {
  const Index row = blockIdx.x;
  T* logits = logits_NV + row * V;
  const int label = (int)labels_N[row];
  const float atLabel = toFloat(logits[label]);
  Top own = {minusInfinity(), V};
  float part = 0.0f;  // Σ e^(x − own.value) of this thread
  for (int i = threadIdx.x; i < V; i += blockDim.x) {
    const float x = toFloat(logits[i]);
    if (x > own.value) {
      part = part * expf(own.value - x) + 1.0f;
      own = {x, i};
    } else {
      part += expf(x - own.value);
    }
  }
  const Top top = blockTop(own);
  const float sum = blockSum(part == 0.0f ? 0.0f : part * expf(own.value - top.value));
  if (threadIdx.x == 0) {
    logProb_N[row] = atLabel - top.value - logf(sum);
    argmax_N[row] = top.place;
  }
  if (!weight_N) return;
  const float weight = weight_N[row];
  const float factor = weight / sum;
  for (int i = threadIdx.x; i < V; i += blockDim.x) {
    const float share = factor * expf(toFloat(logits[i]) - top.value);
    store(logits + i, i == label ? share - weight : share);
  }
}

extern "C" __global__ void score_f32(float* logits_NV, int V, const Index* labels_N, const float* weight_N,
                                     float* logProb_N, Index* argmax_N) {
  score(logits_NV, V, labels_N, weight_N, logProb_N, argmax_N);
}

extern "C" __global__ void score_f16(Half* logits_NV, int V, const Index* labels_N, const float* weight_N,
                                     float* logProb_N, Index* argmax_N) {
  score(logits_NV, V, labels_N, weight_N, logProb_N, argmax_N);
}
