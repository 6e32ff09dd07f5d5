#include "row_statistics.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

#include <string>
#include <utility>

#include "../../error.h"

namespace seprog {
namespace {

constexpr double kSmallestDeviation = 1e-7;

}  // namespace

Moments::Moments(int64_t count, at::Tensor mean_W, at::Tensor squares_W)
    : count_(count), mean_W_(std::move(mean_W)), squares_W_(std::move(squares_W)) {}

void Moments::add(const at::Tensor& rows_NW) {
  if (rows_NW.size(0) == 0) return;
  const at::Tensor rows = rows_NW.to(at::kDouble);
  const at::Tensor mean = rows.mean(0);
  merge(Moments(rows.size(0), mean, (rows - mean).square_().sum(0)));
}

void Moments::merge(const Moments& other) {
  if (other.count_ == 0) return;
  if (count_ == 0) {
    *this = other;
    return;
  }
  const auto own = static_cast<double>(count_);
  const auto added = static_cast<double>(other.count_);
  const at::Tensor apart = other.mean_W_ - mean_W_;
  mean_W_ = mean_W_ + apart * (added / (own + added));
  squares_W_ = squares_W_ + other.squares_W_ + apart.square() * (own * added / (own + added));
  count_ += other.count_;
}

at::Tensor Moments::deviation_W() const { return (squares_W_ / static_cast<double>(count_ - 1)).sqrt(); }

Normaliser::Normaliser(const FactorMoments& moments, at::ScalarType type, const at::Device& device) {
  if (moments.u.count() < 2) {
    // A planned editor has seen no rows; without a mean rows stay as they are, and as large.
    if (device.is_meta()) return;
    fail(ErrorCode::Unsupported,
         "expected statistics of at least 2 factor rows for `editor.norm` but received " +
             std::to_string(moments.u.count()) + "; train the editor, or restore a trained one, first");
  }
  mean_D_ = at::cat({moments.u.mean_W(), moments.delta.mean_W()}).to(device, type);
  scale_D_ =
      (at::cat({moments.u.deviation_W(), moments.delta.deviation_W()}) + kSmallestDeviation).to(device, type);
}

at::Tensor Normaliser::apply(const at::Tensor& u_NI, const at::Tensor& delta_NO) const {
  at::Tensor x_ND = at::cat({u_NI, delta_NO}, 1);
  return mean_D_.defined() ? x_ND.sub_(mean_D_).div_(scale_D_) : x_ND;
}

}  // namespace seprog
