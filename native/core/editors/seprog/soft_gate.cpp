#include "soft_gate.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logaddexp.h>

#include <algorithm>

namespace seprog {
namespace {

// Logits of one side that exist at a time, 4 MiB of floats.
constexpr int64_t kBlockElements = 1 << 20;

class MixedState : public DecodeState {
 public:
  MixedState(std::unique_ptr<DecodeState> prompted, std::unique_ptr<DecodeState> plain, at::Tensor logit_R)
      : prompted_(std::move(prompted)), plain_(std::move(plain)), logit_R_(std::move(logit_R)) {}

  at::Tensor first() override { return mixLogProb(prompted_->first(), plain_->first(), logit_R_); }
  at::Tensor next(const at::Tensor& ids_R) override {
    return mixLogProb(prompted_->next(ids_R), plain_->next(ids_R), logit_R_);
  }
  void keep(const at::Tensor& rows_R) override {
    prompted_->keep(rows_R);
    plain_->keep(rows_R);
    logit_R_ = logit_R_.index_select(0, rows_R);
  }

 private:
  std::unique_ptr<DecodeState> prompted_;
  std::unique_ptr<DecodeState> plain_;
  at::Tensor logit_R_;
};

}  // namespace

at::Tensor mixLogProb(const at::Tensor& prompted_NV, const at::Tensor& plain_NV, const at::Tensor& logit_N) {
  const at::Tensor logit_N1 = logit_N.unsqueeze(1);
  return at::logaddexp(at::log_softmax(prompted_NV, 1) + at::log_sigmoid(logit_N1),
                       at::log_softmax(plain_NV, 1) + at::log_sigmoid(logit_N1.neg()));
}

void scoreMixed(const Head& promptedHead, const at::Tensor& prompted_ND, const Head& plainHead,
                const at::Tensor& plain_ND, const at::Tensor& logit_N, const Targets& targets,
                const std::vector<int64_t>& places_N, TokenScores& scores) {
  const int64_t n = prompted_ND.size(0);
  const int64_t rows = std::max(kRowGranule, kBlockElements / plainHead.weight_VD.size(0));
  for (int64_t first = 0; first < n; first += rows) {
    const int64_t count = std::min(rows, n - first);
    const at::Tensor mixed_NV =
        mixLogProb(applyHead(promptedHead, prompted_ND.narrow(0, first, count)),
                   applyHead(plainHead, plain_ND.narrow(0, first, count)), logit_N.narrow(0, first, count));
    const at::Tensor labels_N1 = targets.labels_N.narrow(0, first, count).unsqueeze(1);
    const at::Tensor logProb_N = mixed_NV.gather(1, labels_N1).squeeze(1).to(at::kCPU).contiguous();
    const at::Tensor argmax_N = mixed_NV.argmax(1).to(at::kCPU, at::kInt).contiguous();
    for (int64_t i = 0; i < count; ++i) {
      scores.logProb[places_N[first + i]] = logProb_N.const_data_ptr<float>()[i];
      scores.argmax[places_N[first + i]] = argmax_N.const_data_ptr<int32_t>()[i];
    }
  }
}

std::unique_ptr<DecodeState> mixDecoding(std::unique_ptr<DecodeState> prompted,
                                         std::unique_ptr<DecodeState> plain, at::Tensor logit_R) {
  return std::make_unique<MixedState>(std::move(prompted), std::move(plain), std::move(logit_R));
}

}  // namespace seprog
