// C rows of a block, G = nR queries.
#include "fused.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>

#include "../kernel_sources.h"
#include "block_step.h"

namespace seprog::cross_attention {
namespace {

// Products that exist at a time, 4 MiB of floats: both matrix products run at full speed and find them in a cache.
constexpr int64_t kBlockElements = 1 << 20;
// Below so many rows of a block the products become slower than what they save.
constexpr int64_t kLeastRows = 256;

int64_t rowsOfBlock(int64_t queries, int64_t K) {
  return std::min(K, std::max(kLeastRows, kBlockElements / std::max<int64_t>(1, queries)));
}

/// A block's worth of products; every block but the last fills it.
class Buffer {
 public:
  Buffer(const at::Tensor& q_nRH, int64_t rows)
      : n_(q_nRH.size(0)), R_(q_nRH.size(1)), flat_(at::empty({n_ * R_ * rows}, q_nRH.options())) {}
  at::Tensor shaped(int64_t C) const { return flat_.narrow(0, 0, n_ * R_ * C).view({n_, R_, C}); }

 private:
  int64_t n_, R_;
  at::Tensor flat_;
};

at::Tensor byQuery(const at::Tensor& x_nRC) {
  return x_nRC.view({x_nRC.size(0) * x_nRC.size(1), x_nRC.size(2)});
}

// One group goes the way of plain matrices, which libtorch routes to more kernels than batches.
void productInto(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b) {
  if (a.size(0) == 1) {
    at::Tensor out_2d = out.select(0, 0);
    at::mm_out(out_2d, a.select(0, 0), b.select(0, 0));
  } else {
    at::Tensor batch = out;
    at::bmm_out(batch, a, b);
  }
}

/// sum += a b; half precision is summed in float.
void addProduct(const at::Tensor& sum, const at::Tensor& a, const at::Tensor& b) {
  if (sum.scalar_type() != a.scalar_type()) {
    sum.add_(at::bmm(a, b));
  } else if (a.size(0) == 1) {
    sum.select(0, 0).addmm_(a.select(0, 0), b.select(0, 0));
  } else {
    sum.baddbmm_(a, b);
  }
}

void advance(Path path, const at::Tensor& s_GC, int64_t first, const Running& running) {
  if (path == Path::Cpu) advanceCpu(s_GC, first, running);
  if (path == Path::Cuda) advanceCuda(s_GC, first, running);
}

void back(Path path, const at::Tensor& s_GC, const at::Tensor& dp_GC, const at::Tensor& logSum_G,
          const at::Tensor& dot_G) {
  if (path == Path::Cpu) backCpu(s_GC, dp_GC, logSum_G, dot_G);
  if (path == Path::Cuda) backCuda(s_GC, dp_GC, logSum_G, dot_G);
}

}  // namespace

Path pathOf(const at::Tensor& q_nRH, const at::Tensor& rows_nKH) {
  const bool isUniform = q_nRH.scalar_type() == rows_nKH.scalar_type() && q_nRH.device() == rows_nKH.device();
  if (q_nRH.numel() == 0 || !isUniform) return Path::Reference;
  return seprog::pathOf(q_nRH, kCrossAttentionKernels);
}

bool isOneBlock(const at::Tensor& q_nRH, const at::Tensor& rows_nKH) {
  const int64_t K = rows_nKH.size(1);
  return rowsOfBlock(q_nRH.size(0) * q_nRH.size(1), K) == K;
}

Forward forward(Path path, const at::Tensor& q_nRH, const at::Tensor& rows_nKH, double scale,
                CrossAttentionWants wants) {
  at::NoGradGuard noGrad;
  const int64_t n = q_nRH.size(0), R = q_nRH.size(1), K = rows_nKH.size(1), H = q_nRH.size(2);
  const int64_t G = n * R;
  const at::Tensor scaled_nRH = q_nRH.mul(scale).contiguous();
  const auto floats = q_nRH.options().dtype(at::kFloat);
  const auto indices = q_nRH.options().dtype(at::kLong);
  const at::Tensor acc_nRH = at::zeros({n, R, H}, floats);
  const Running running = {at::full({G}, -std::numeric_limits<double>::infinity(), floats),
                           at::zeros({G}, floats), byQuery(acc_nRH),
                           wants.argmax ? at::zeros({G}, indices) : at::Tensor()};
  Forward forward;
  forward.path = path;
  CrossAttention& result = forward.result;
  if (wants.alpha) result.alpha_nRK = at::empty({n, R, K}, q_nRH.options());

  const int64_t rows = rowsOfBlock(G, K);
  const Buffer buffer(scaled_nRH, rows);
  for (int64_t first = 0; first < K; first += rows) {
    const int64_t C = std::min(rows, K - first);
    const at::Tensor block_nCH = rows_nKH.narrow(1, first, C);
    const at::Tensor s_nRC = buffer.shaped(C);
    productInto(s_nRC, scaled_nRH, block_nCH.transpose(1, 2));
    if (wants.alpha) result.alpha_nRK.narrow(2, first, C).copy_(s_nRC);
    advance(path, byQuery(s_nRC), first, running);
    addProduct(acc_nRH, s_nRC, block_nCH);
  }

  forward.logSum_G = running.sum_G.log().add_(running.max_G);
  acc_nRH.div_(running.sum_G.view({n, R, 1}));
  result.h_nRH = acc_nRH.to(q_nRH.scalar_type());
  if (wants.alpha) result.alpha_nRK.sub_(forward.logSum_G.view({n, R, 1})).exp_();
  if (wants.argmax) result.argmax_nR = running.argmax_G.view({n, R});
  return forward;
}

Gradients backward(const at::Tensor& q_nRH, const at::Tensor& rows_nKH, double scale, const Forward& forward,
                   const at::Tensor& dh_nRH) {
  at::NoGradGuard noGrad;
  const int64_t n = q_nRH.size(0), R = q_nRH.size(1), K = rows_nKH.size(1);
  const at::Tensor scaled_nRH = q_nRH.mul(scale).contiguous();
  const at::Tensor dh = dh_nRH.contiguous();
  const at::Tensor dot_G = dh.to(at::kFloat).mul(forward.result.h_nRH).sum(-1).view({n * R});
  const at::Tensor dq_nRH = at::zeros(q_nRH.sizes(), q_nRH.options().dtype(at::kFloat));
  Gradients gradients = {{}, at::empty(rows_nKH.sizes(), rows_nKH.options())};

  const int64_t rows = rowsOfBlock(n * R, K);
  const Buffer products(scaled_nRH, rows), slopes(scaled_nRH, rows);
  for (int64_t first = 0; first < K; first += rows) {
    const int64_t C = std::min(rows, K - first);
    const at::Tensor block_nCH = rows_nKH.narrow(1, first, C);
    const at::Tensor s_nRC = products.shaped(C);
    const at::Tensor dp_nRC = slopes.shaped(C);
    productInto(s_nRC, scaled_nRH, block_nCH.transpose(1, 2));
    productInto(dp_nRC, dh, block_nCH.transpose(1, 2));
    back(forward.path, byQuery(s_nRC), byQuery(dp_nRC), forward.logSum_G, dot_G);
    addProduct(dq_nRH, dp_nRC, block_nCH);
    // As a value a row takes part by its weights, as a key by their slopes.
    const at::Tensor drows_nCH = gradients.rows_nKH.narrow(1, first, C);
    drows_nCH.copy_(at::bmm(s_nRC.transpose(1, 2), dh));
    drows_nCH.add_(at::bmm(dp_nRC.transpose(1, 2), scaled_nRH));
  }
  gradients.q_nRH = dq_nRH.mul_(scale).to(q_nRH.scalar_type());
  return gradients;
}

}  // namespace seprog::cross_attention
