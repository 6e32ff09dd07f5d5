#include "rms_norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/rsqrt.h>

namespace seprog {

at::Tensor rmsNorm(const at::Tensor& x_ND, const at::Tensor& weight_D, double epsilon) {
  const at::Tensor rstd_N1 = (x_ND * x_ND).mean(-1, true).add(epsilon).rsqrt();
  return x_ND * rstd_N1 * weight_D;
}

}  // namespace seprog
