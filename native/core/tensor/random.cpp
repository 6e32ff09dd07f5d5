// SplitMix64 (Steele, Lea, Flood 2014) and Marsaglia's polar method.
#include "random.h"

#include <ATen/ops/empty.h>

#include <cmath>

#include "../plan/planned_device.h"

namespace seprog {

Random::Random(uint64_t seed, std::string_view name) : state_(seed) {
  for (const char c : name)
    state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL + 0x9e3779b97f4a7c15ULL;
}

uint64_t Random::next() {
  uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

double Random::uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

double Random::normal() {
  if (hasSpare_) {
    hasSpare_ = false;
    return spare_;
  }
  while (true) {
    const double u = 2 * uniform() - 1;
    const double v = 2 * uniform() - 1;
    const double s = u * u + v * v;
    if (s >= 1 || s == 0) continue;
    const double factor = std::sqrt(-2 * std::log(s) / s);
    spare_ = v * factor;
    hasSpare_ = true;
    return u * factor;
  }
}

at::Tensor Random::uniformTensor(at::IntArrayRef shape, double low, double high) {
  if (const auto planned = plannedHere()) return at::empty(shape, at::device(*planned).dtype(at::kFloat));
  at::Tensor out = at::empty(shape, at::kFloat);
  float* data = out.mutable_data_ptr<float>();
  for (int64_t i = 0; i < out.numel(); ++i) data[i] = static_cast<float>(low + (high - low) * uniform());
  return out;
}

at::Tensor Random::normalTensor(at::IntArrayRef shape, double mean, double deviation) {
  if (const auto planned = plannedHere()) return at::empty(shape, at::device(*planned).dtype(at::kFloat));
  at::Tensor out = at::empty(shape, at::kFloat);
  float* data = out.mutable_data_ptr<float>();
  for (int64_t i = 0; i < out.numel(); ++i) data[i] = static_cast<float>(mean + deviation * normal());
  return out;
}

}  // namespace seprog
