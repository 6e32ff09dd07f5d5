#include "flops.h"

#include <ATen/SequenceNumber.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace seprog {
namespace {

enum Order : size_t { kForward, kBackward, kSecondOrder, kOrders };

// Of the calling thread.
thread_local Order order = kForward;
thread_local bool insideProduct = false;

// The slot that libtorch offers whoever observes operations; it goes with the backward pass to other threads.
constexpr auto kSlot = c10::DebugInfoKind::PRODUCER_INFO;

/// Where a product's factors stand among the arguments, and which dimension of the second one is new in the result.
struct Factors {
  size_t left;
  size_t right;
  int64_t columns = -1;
};

/// Operations made of others (linear, matmul, einsum, mv) end in these.
const std::unordered_map<std::string_view, Factors>& products() {
  // clang-format off
  static const auto* table = new std::unordered_map<std::string_view, Factors>{
      {"aten::mm", {0, 1}}, {"aten::bmm", {0, 1}}, {"aten::dot", {0, 1}}, {"aten::vdot", {0, 1}},
      {"aten::addmm", {1, 2}}, {"aten::addmm_", {1, 2}}, {"aten::_addmm_activation", {1, 2}},
      {"aten::addmv", {1, 2}}, {"aten::addmv_", {1, 2}},
      {"aten::baddbmm", {1, 2}}, {"aten::baddbmm_", {1, 2}},
      {"aten::_int_mm", {0, 1}}, {"mkldnn::_linear_pointwise", {0, 1, 0}},
      {"onednn::qlinear_pointwise", {0, 3}}};
  // clang-format on
  return *table;
}

constexpr const char* kOwnProducts = "seprog::products";

/// [.., m, k] by [.., k, n], or by a vector of k.
int64_t flopsOf(const at::Tensor& left, const at::Tensor& right, int64_t columns) {
  return 2 * left.numel() * (right.dim() < 2 ? 1 : right.size(columns));
}

struct OpenProduct : at::ObserverContext {};

struct OpenNode : at::ObserverContext {
  OpenNode(Order outer, uint64_t firstSequence) : outer(outer), firstSequence(firstSequence) {}
  Order outer;
  uint64_t firstSequence;
};

}  // namespace

class FlopCounter::Counts : public c10::DebugInfoBase {
 public:
  static std::unique_ptr<at::ObserverContext> beginOperation(const at::RecordFunction& operation) {
    if (insideProduct) return nullptr;  // a product made of another
    if (operation.name() == std::string_view(kOwnProducts)) {
      if (Counts* counts = current()) {
        counts->flops_[order].fetch_add(operation.inputs()[0].toInt(), std::memory_order_relaxed);
      }
      return nullptr;
    }
    const auto product = products().find(operation.name());
    Counts* counts = product == products().end() ? nullptr : current();
    if (counts == nullptr) return nullptr;
    const auto inputs = operation.inputs();
    const int64_t flops = flopsOf(inputs[product->second.left].toTensor(),
                                  inputs[product->second.right].toTensor(), product->second.columns);
    counts->flops_[order].fetch_add(flops, std::memory_order_relaxed);
    insideProduct = true;
    return std::make_unique<OpenProduct>();
  }
  static void endOperation(const at::RecordFunction&, at::ObserverContext* product) {
    if (product != nullptr) insideProduct = false;
  }

  static std::unique_ptr<at::ObserverContext> beginNode(const at::RecordFunction& node) {
    auto open = std::make_unique<OpenNode>(order, at::sequence_number::peek());
    Counts* counts = current();
    const bool again =
        counts != nullptr && counts->isRecorded(node.forwardThreadId(), static_cast<uint64_t>(node.seqNr()));
    order = std::max(order, again ? kSecondOrder : kBackward);
    return open;
  }
  static void endNode(const at::RecordFunction&, at::ObserverContext* context) {
    const auto* open = static_cast<OpenNode*>(context);
    order = open->outer;
    if (Counts* counts = current()) counts->addRecorded(open->firstSequence, at::sequence_number::peek());
  }

  FlopCounts read() const { return {flops_[kForward], flops_[kBackward], flops_[kSecondOrder]}; }

 private:
  static Counts* current() { return static_cast<Counts*>(c10::ThreadLocalDebugInfo::get(kSlot)); }

  /// Nodes that this thread made with these sequence numbers were recorded by a backward pass.
  void addRecorded(uint64_t begin, uint64_t end) {
    if (begin == end) return;
    std::lock_guard lock(mutex_);
    auto& spans = recorded_[at::RecordFunction::currentThreadId()];
    while (!spans.empty() && spans.back().first >= begin)
      spans.pop_back();  // of nodes that ran inside this one
    if (!spans.empty() && spans.back().second == begin) {
      spans.back().second = end;
    } else {
      spans.emplace_back(begin, end);
    }
  }

  bool isRecorded(uint64_t thread, uint64_t sequence) {
    std::lock_guard lock(mutex_);
    const auto found = recorded_.find(thread);
    if (found == recorded_.end()) return false;
    const auto& spans = found->second;
    const auto behind =
        std::upper_bound(spans.begin(), spans.end(), sequence,
                         [](uint64_t wanted, const auto& span) { return wanted < span.first; });
    return behind != spans.begin() && sequence < std::prev(behind)->second;
  }

  std::array<std::atomic<int64_t>, kOrders> flops_{};
  std::mutex mutex_;
  std::map<uint64_t, std::vector<std::pair<uint64_t, uint64_t>>> recorded_;  // by thread, ascending
};

FlopCounter::FlopCounter()
    : counts_(std::make_shared<Counts>()),
      whereCallbacksFindIt_(kSlot, counts_),
      operations_(
          at::addThreadLocalCallback(at::RecordFunctionCallback(Counts::beginOperation, Counts::endOperation)
                                         .needsInputs(true)
                                         .scopes({at::RecordScope::FUNCTION}))),
      nodes_(at::addThreadLocalCallback(at::RecordFunctionCallback(Counts::beginNode, Counts::endNode)
                                            .scopes({at::RecordScope::BACKWARD_FUNCTION}))) {}

FlopCounter::~FlopCounter() {
  at::removeCallback(nodes_);
  at::removeCallback(operations_);
}

FlopCounts FlopCounter::counts() const { return counts_->read(); }

void countOwnProducts(int64_t flops) {
  at::RecordFunction operation(at::RecordScope::FUNCTION);
  if (!operation.isActive()) return;
  const c10::IValue input(flops);
  operation.before(kOwnProducts, c10::ArrayRef<const c10::IValue>(&input, 1));
}

BackwardPass::BackwardPass(const char* name) : node_(at::RecordScope::BACKWARD_FUNCTION) {
  if (node_.isActive()) node_.before(name, -1);
}

}  // namespace seprog
