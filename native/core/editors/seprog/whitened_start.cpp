// K edits, R other inputs, Db and De widths of the base's and the edit encoder, D where they are one, H edit width (h), C
// canonical directions.
#include "whitened_start.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/diag_embed.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/mm.h>

#include <cmath>
#include <string>

#include "../../error.h"
#include "../../tensor/random.h"

namespace seprog {
namespace {

// The mean logit of an input for its own edit at the start: clear of the others, yet softmax is not
// saturated.
constexpr double kSelectLogit = 8.0;
// Directions with less variance than this share of the mean are noise of a finite sample; they are not blown
// up.
constexpr double kRidge = 0.02;

/// [H, D] with orthonormal columns (H ≥ D) or rows (H < D).
at::Tensor randomOrthonormal(int64_t H, int64_t D, uint64_t seed) {
  const int64_t size = std::max(H, D);
  const at::Tensor square =
      Random(seed, "whitened_start.Q").normalTensor({size, size}, 0.0, 1.0).to(at::kDouble);
  return std::get<0>(at::linalg_qr(square)).narrow(0, 0, H).narrow(1, 0, D);
}

/// Second moment of rows, [D, D].
at::Tensor moment(const at::Tensor& rows) {
  return at::mm(rows.t(), rows) / static_cast<double>(rows.size(0));
}

/// The symmetric inverse square root of a second moment.
at::Tensor inverseRoot(const at::Tensor& moment_DD) {
  const auto [value_D, U_DD] = at::linalg_eigh(moment_DD);
  const at::Tensor scale_D = (value_D.clamp_min(0.0) + kRidge * value_D.mean()).rsqrt();
  return at::mm(U_DD * scale_D, U_DD.t());
}

/// What inputs and edits are projected by: W_att and W_o but for their common scale.
struct Projections {
  at::Tensor input_HDb;
  at::Tensor edit_HDe;
};

/// One encoder on both sides: one projection, which whitens the mean of both second moments.
Projections ofOneEncoder(const at::Tensor& b_RD, const at::Tensor& z_KD, int64_t H, uint64_t seed) {
  const at::Tensor W_HD =
      at::mm(randomOrthonormal(H, z_KD.size(1), seed), inverseRoot((moment(b_RD) + moment(z_KD)) / 2.0));
  return {W_HD, W_HD};
}

/// Two encoders that know nothing of each other: each side is whitened, and the canonical directions of the
/// pairs are matched, weighted by the root of their correlation.
Projections ofTwoEncoders(const at::Tensor& bIn_KDb, const at::Tensor& b_RDb, const at::Tensor& z_KDe,
                          int64_t H, uint64_t seed) {
  const at::Tensor A_DbDb = inverseRoot(moment(b_RDb));
  const at::Tensor B_DeDe = inverseRoot(moment(z_KDe));
  const at::Tensor cross_DbDe =
      at::mm(at::mm(A_DbDb, bIn_KDb.t()), at::mm(z_KDe, B_DeDe)) / static_cast<double>(z_KDe.size(0));
  const auto [U_DbC, correlation_C, V_CDe] = at::linalg_svd(cross_DbDe, false);
  const int64_t C = std::min(correlation_C.size(0), H);
  const at::Tensor Q_HC = randomOrthonormal(H, C, seed) * correlation_C.narrow(0, 0, C).sqrt();
  return {at::mm(at::mm(Q_HC, U_DbC.narrow(1, 0, C).t()), A_DbDb),
          at::mm(at::mm(Q_HC, V_CDe.narrow(0, 0, C)), B_DeDe)};
}

}  // namespace

WhitenedStart whitenedStart(const SeprogModules& modules, const at::Tensor& z_KDe, const at::Tensor& bIn_KDb,
                            const at::Tensor& bOut_RDb) {
  const int64_t H = modules.spec().hiddenWidth;
  const bool oneEncoder = modules.spec().editEncoderDirectory.empty();
  if (z_KDe.size(0) < 2) {
    fail(ErrorCode::DataInvalid,
         "expected at least 2 edits for `sample` but received " + std::to_string(z_KDe.size(0)));
  }
  const auto onCpu = [](const at::Tensor& t) { return t.to(at::kCPU, at::kDouble); };
  const at::Tensor bIn_KD = onCpu(bIn_KDb);
  const at::Tensor b_RD = at::cat({bIn_KD, onCpu(bOut_RDb)}, 0);
  const at::Tensor mean_D = onCpu(z_KDe).mean(0);
  const at::Tensor z_KD = onCpu(z_KDe) - mean_D;
  const uint64_t seed = modules.spec().seed;
  Projections W = oneEncoder ? ofOneEncoder(b_RD, z_KD, H, seed) : ofTwoEncoders(bIn_KD, b_RD, z_KD, H, seed);

  const double rootH = std::sqrt(static_cast<double>(H));
  const double own =
      (at::mm(bIn_KD, W.input_HDb.t()) * at::mm(z_KD, W.edit_HDe.t())).sum(1).mean().item<double>() / rootH;
  if (!(own > 0)) {
    fail(ErrorCode::DataInvalid,
         "expected in-scope inputs that resemble their edits for `sample` but received a mean agreement of " +
             std::to_string(own) + "; use projectionStart: default");
  }
  const double scale = std::sqrt(kSelectLogit / own);
  W = {W.input_HDb * scale, W.edit_HDe * scale};

  const at::Tensor h_KH = at::mm(z_KD, W.edit_HDe.t());
  const at::Tensor logits_KK = at::mm(at::mm(bIn_KD, W.input_HDb.t()), h_KH.t()) / rootH;
  const auto like = [&](const std::string& name, const at::Tensor& value) {
    return value.to(modules.parameters().at(name).options()).contiguous();
  };
  WhitenedStart start;
  start.figures = {{"selectLogit", logits_KK.diagonal().mean().item<double>()},
                   {"otherLogitDeviation", logits_KK.std().item<double>()}};
  start.parameters = modules.parameters();
  if (modules.spec().hasAttention()) start.parameters["W_att"] = like("W_att", W.input_HDb);
  start.parameters["W_o"] = like("W_o", W.edit_HDe);
  start.parameters["b_o"] = like("b_o", -at::mm(W.edit_HDe, mean_D.unsqueeze(1)).squeeze(1));

  if (!modules.spec().hasClassifier()) return start;

  // The first layer of NN_e sees random directions of ±(h(x) − q): what tells an input from the edits it
  // attends to.
  const int64_t half = H / 2;
  at::Tensor R_UH =
      Random(modules.spec().seed, "whitened_start.R").normalTensor({half, H}, 0.0, 1.0).to(at::kDouble);
  R_UH = R_UH / at::mm(h_KH, R_UH.t()).pow(2).mean().sqrt();
  const at::Tensor units_UX = at::cat({R_UH, -at::mm(R_UH, W.input_HDb)}, 1);
  at::Tensor first = onCpu(modules.parameters().at("NN_e.0.weight")).clone();
  first.narrow(0, 0, half).copy_(units_UX);
  first.narrow(0, half, half).copy_(-units_UX);
  start.parameters["NN_e.0.weight"] = like("NN_e.0.weight", first);
  start.parameters["NN_e.0.bias"] = modules.parameters().at("NN_e.0.bias").new_zeros({H});
  return start;
}

}  // namespace seprog
