// K edits, R other inputs, D = De = Db encoder width, H edit width (h).
#include "whitened_start.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/diag_embed.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_qr.h>
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

}  // namespace

WhitenedStart whitenedStart(const SeprogModules& modules, const at::Tensor& z_KDe, const at::Tensor& bIn_KDb,
                            const at::Tensor& bOut_RDb) {
  const int64_t D = z_KDe.size(1);
  const int64_t H = modules.spec().hiddenWidth;
  if (bIn_KDb.size(1) != D) {
    fail(ErrorCode::ConfigInvalid,
         "expected an edit encoder as wide as the base's encoder (" + std::to_string(bIn_KDb.size(1)) +
             ") for `editor.projectionStart: whitened` but " + "received one of width " + std::to_string(D) +
             "; use projectionStart: default");
  }
  if (z_KDe.size(0) < 2) {
    fail(ErrorCode::DataInvalid,
         "expected at least 2 edits for `sample` but received " + std::to_string(z_KDe.size(0)));
  }
  const auto onCpu = [](const at::Tensor& t) { return t.to(at::kCPU, at::kDouble); };
  const at::Tensor bIn_KD = onCpu(bIn_KDb);
  const at::Tensor b_RD = at::cat({bIn_KD, onCpu(bOut_RDb)}, 0);
  const at::Tensor mean_D = onCpu(z_KDe).mean(0);
  const at::Tensor z_KD = onCpu(z_KDe) - mean_D;

  // Second moments of both sides, averaged, and their inverse square root A.
  const auto moment = [](const at::Tensor& rows) {
    return at::mm(rows.t(), rows) / static_cast<double>(rows.size(0));
  };
  const at::Tensor moment_DD = (moment(b_RD) + moment(z_KD)) / 2.0;
  const auto [value_D, U_DD] = at::linalg_eigh(moment_DD);
  const at::Tensor scale_D = (value_D.clamp_min(0.0) + kRidge * value_D.mean()).rsqrt();
  const at::Tensor A_DD = at::mm(U_DD * scale_D, U_DD.t());
  at::Tensor W_HD = at::mm(randomOrthonormal(H, D, modules.spec().seed), A_DD);

  const double rootH = std::sqrt(static_cast<double>(H));
  const double own = (at::mm(bIn_KD, W_HD.t()) * at::mm(z_KD, W_HD.t())).sum(1).mean().item<double>() / rootH;
  if (!(own > 0)) {
    fail(ErrorCode::DataInvalid,
         "expected in-scope inputs that resemble their edits for `sample` but received a mean agreement of " +
             std::to_string(own) + "; use projectionStart: default");
  }
  W_HD = W_HD * std::sqrt(kSelectLogit / own);

  const at::Tensor h_KH = at::mm(z_KD, W_HD.t());
  const at::Tensor logits_KK = at::mm(at::mm(bIn_KD, W_HD.t()), h_KH.t()) / rootH;
  const auto like = [&](const std::string& name, const at::Tensor& value) {
    return value.to(modules.parameters().at(name).options()).contiguous();
  };
  WhitenedStart start;
  start.figures = {{"selectLogit", logits_KK.diagonal().mean().item<double>()},
                   {"otherLogitDeviation", logits_KK.std().item<double>()}};
  start.parameters = modules.parameters();
  start.parameters["W_att"] = like("W_att", W_HD);
  start.parameters["W_o"] = like("W_o", W_HD);
  start.parameters["b_o"] = like("b_o", -at::mm(W_HD, mean_D.unsqueeze(1)).squeeze(1));

  // The first layer of NN_e sees random directions of ±(h(x) − q): what tells an input from the edits it
  // attends to.
  const int64_t half = H / 2;
  at::Tensor R_UH =
      Random(modules.spec().seed, "whitened_start.R").normalTensor({half, H}, 0.0, 1.0).to(at::kDouble);
  R_UH = R_UH / at::mm(h_KH, R_UH.t()).pow(2).mean().sqrt();
  const at::Tensor units_UX = at::cat({R_UH, -at::mm(R_UH, W_HD)}, 1);
  at::Tensor first = onCpu(modules.parameters().at("NN_e.0.weight")).clone();
  first.narrow(0, 0, half).copy_(units_UX);
  first.narrow(0, half, half).copy_(-units_UX);
  start.parameters["NN_e.0.weight"] = like("NN_e.0.weight", first);
  start.parameters["NN_e.0.bias"] = modules.parameters().at("NN_e.0.bias").new_zeros({H});
  return start;
}

}  // namespace seprog
