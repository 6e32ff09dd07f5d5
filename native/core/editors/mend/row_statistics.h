// Mean and deviation of factor rows over everything ever seen in training (mend.md section 3).
// N rows, W width of a row, I and O width of inputs and output gradients.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace seprog {

/// Moments per coordinate in double. A value: copies share tensors that no one changes.
class Moments {
 public:
  Moments() = default;
  Moments(int64_t count, at::Tensor mean_W, at::Tensor squares_W);

  /// Adds rows_NW as if one after the other (Welford), merged as a batch (Chan).
  void add(const at::Tensor& rows_NW);
  void merge(const Moments& other);

  int64_t count() const { return count_; }
  const at::Tensor& mean_W() const { return mean_W_; }
  /// Sums of squared deviations from the mean.
  const at::Tensor& squares_W() const { return squares_W_; }
  /// √(squares / (count − 1)).
  at::Tensor deviation_W() const;

 private:
  int64_t count_ = 0;
  at::Tensor mean_W_;  // undefined at first
  at::Tensor squares_W_;
};

/// Of the two factors that one network reads; equal counts.
struct FactorMoments {
  Moments u;
  Moments delta;
};

/// x = (ū, δ̄): each factor minus its mean over its deviation, side by side.
class Normaliser {
 public:
  /// Leaves factors as they are.
  Normaliser() = default;
  /// Throws UNSUPPORTED for statistics of fewer than two rows.
  Normaliser(const FactorMoments& moments, at::ScalarType type, const at::Device& device);

  /// [N, I], [N, O] → [N, I + O].
  at::Tensor apply(const at::Tensor& u_NI, const at::Tensor& delta_NO) const;

 private:
  at::Tensor mean_D_;  // undefined: as they are
  at::Tensor scale_D_;
};

}  // namespace seprog
