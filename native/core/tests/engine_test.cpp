#include "core/engine/engine.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <set>
#include <string>
#include <vector>

namespace seprog {
namespace {

const c10::Device kCpu(c10::DeviceType::CPU);

class TestWork : public Work {
 public:
  explicit TestWork(std::function<void(JobContext&)> body, CancelFlag cancel = nullptr,
                    MeasureLevel measure = MeasureLevel::Nothing, std::string name = "")
      : Work(std::move(cancel), measure), name(std::move(name)), body_(std::move(body)) {}
  const std::string name;

 protected:
  void perform(JobContext& context) override { body_(context); }

 private:
  std::function<void(JobContext&)> body_;
};

/// Collects what an engine completes.
class Harbour {
 public:
  Engine::Completion completion() {
    return [this](std::unique_ptr<Work> work) {
      std::lock_guard lock(mutex_);
      arrived_.push_back(std::move(work));
      changed_.notify_all();
    };
  }
  const TestWork& await(size_t index) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return arrived_.size() > index; });
    return static_cast<const TestWork&>(*arrived_[index]);
  }
  size_t count() {
    std::lock_guard lock(mutex_);
    return arrived_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Work>> arrived_;
};

std::unique_ptr<TestWork> work(std::function<void(JobContext&)> body, CancelFlag cancel = nullptr,
                               MeasureLevel measure = MeasureLevel::Nothing) {
  return std::make_unique<TestWork>(std::move(body), std::move(cancel), measure);
}

TEST(Engine, RunsEverythingOnOneThreadInOrder) {
  Harbour harbour;
  Engine engine(kCpu, 1, harbour.completion());
  std::vector<int> order;
  std::set<std::thread::id> threads;
  for (int i = 0; i < 1000; ++i) {
    engine.submit(work([&, i](JobContext&) {
      order.push_back(i);
      threads.insert(std::this_thread::get_id());
    }));
  }
  harbour.await(999);
  ASSERT_EQ(order.size(), 1000u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_EQ(threads.size(), 1u);
  EXPECT_EQ(threads.count(std::this_thread::get_id()), 0u);
}

TEST(Engine, KeepsItsOwnTeamBesideAnotherEngine) {
  Harbour harbour;
  Engine one(kCpu, 1, harbour.completion());
  Engine two(kCpu, 2, harbour.completion());
  int teamOfOne = 0;
  int teamOfTwo = 0;
  const auto body = [](int* team) {
    return [team](JobContext&) {
      at::Tensor large = at::ones({1 << 20});
      large.add_(1);
      *team = at::get_num_threads();
    };
  };
  two.submit(work(body(&teamOfTwo)));
  harbour.await(0);
  one.submit(work(body(&teamOfOne)));
  harbour.await(1);
  EXPECT_EQ(teamOfOne, 1);
  EXPECT_EQ(teamOfTwo, 2);
}

TEST(Engine, ExceptionsBecomeCodedFailuresAndTheEngineGoesOn) {
  Harbour harbour;
  Engine engine(kCpu, 1, harbour.completion());
  engine.submit(work([](JobContext&) { fail(ErrorCode::NonFinite, "a NaN"); }));
  engine.submit(work([](JobContext&) { throw std::bad_alloc(); }));
  engine.submit(work([](JobContext&) { at::ones({2, 3}).matmul(at::ones({2, 3})); }));
  engine.submit(work([](JobContext&) { throw 7; }));
  engine.submit(work([](JobContext&) { at::empty({int64_t{1} << 44}, at::kFloat); }));
  engine.submit(work([](JobContext&) {}));
  const TestWork& last = harbour.await(5);
  EXPECT_FALSE(last.failure());
  EXPECT_EQ(harbour.await(0).failure()->code, ErrorCode::NonFinite);
  EXPECT_EQ(harbour.await(0).failure()->message, "a NaN");
  EXPECT_EQ(harbour.await(1).failure()->code, ErrorCode::OutOfMemory);
  const Failure shapes = *harbour.await(2).failure();
  EXPECT_EQ(shapes.code, ErrorCode::Internal);
  EXPECT_EQ(shapes.message.find("Exception raised from"), std::string::npos)
      << "no backtrace: " << shapes.message;
  EXPECT_EQ(harbour.await(3).failure()->code, ErrorCode::Internal);
  EXPECT_EQ(harbour.await(4).failure()->code, ErrorCode::OutOfMemory);
}

TEST(Engine, CancelBeforeTheStartAndBetweenSteps) {
  Harbour harbour;
  Engine engine(kCpu, 1, harbour.completion());
  auto before = std::make_shared<std::atomic<bool>>(true);
  bool ran = false;
  engine.submit(work([&](JobContext&) { ran = true; }, before));
  EXPECT_EQ(harbour.await(0).failure()->code, ErrorCode::Aborted);
  EXPECT_FALSE(ran);

  auto during = std::make_shared<std::atomic<bool>>(false);
  std::promise<void> started;
  engine.submit(work(
      [&](JobContext& context) {
        started.set_value();
        for (;;) context.checkCancelled();
      },
      during));
  started.get_future().wait();
  during->store(true);
  EXPECT_EQ(harbour.await(1).failure()->code, ErrorCode::Aborted);
}

TEST(Engine, MeasuresQueueTimeAndPhases) {
  Harbour harbour;
  Engine engine(kCpu, 1, harbour.completion());
  engine.submit(work([](JobContext&) { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }));
  engine.submit(
      work([](JobContext& context) { auto phase = context.phase("only"); }, nullptr, MeasureLevel::Clocks));
  const auto& measurement = harbour.await(1).measurement();
  ASSERT_TRUE(measurement);
  EXPECT_GE(measurement->queuedNs, 10'000'000);
  EXPECT_LT(measurement->total.wallNs, measurement->queuedNs);
  ASSERT_EQ(measurement->phases.size(), 1u);
  EXPECT_FALSE(harbour.await(0).measurement());
}

TEST(Engine, CloseFinishesTheRunningRefusesTheQueuedAndRunsTheLast) {
  Harbour harbour;
  Engine engine(kCpu, 1, harbour.completion());
  std::promise<void> started;
  std::promise<void> go;
  bool queuedRan = false;
  bool lastRan = false;
  engine.submit(work([&](JobContext&) {
    started.set_value();
    go.get_future().wait();
  }));
  started.get_future().wait();
  engine.submit(work([&](JobContext&) { queuedRan = true; }));
  engine.close(work([&](JobContext&) { lastRan = true; }));
  EXPECT_EQ(harbour.await(0).failure()->code, ErrorCode::Disposed);
  go.set_value();
  EXPECT_FALSE(harbour.await(2).failure());
  EXPECT_FALSE(queuedRan);
  EXPECT_TRUE(lastRan);
  engine.submit(work([](JobContext&) {}));
  EXPECT_EQ(harbour.await(3).failure()->code, ErrorCode::Disposed);
}

TEST(Engine, StopCancelsTheRunningDropsTheQueuedAndCompletesNothing) {
  Harbour harbour;
  Engine engine(kCpu, 1, harbour.completion());
  std::promise<void> started;
  auto resource = std::make_shared<int>(1);
  engine.submit(work([&](JobContext& context) {
    started.set_value();
    for (;;) context.checkCancelled();
  }));
  engine.submit(work([resource](JobContext&) {}));
  started.get_future().wait();
  engine.stop();
  EXPECT_EQ(harbour.count(), 0u);
  EXPECT_EQ(resource.use_count(), 1);
}

TEST(Engine, ManyShortLivesLeaveNothingBehind) {
  for (int i = 0; i < 200; ++i) {
    Harbour harbour;
    Engine engine(kCpu, 1, harbour.completion());
    for (int j = 0; j < i % 5; ++j) engine.submit(work([](JobContext&) { at::ones({4}).add_(1); }));
  }
}

}  // namespace
}  // namespace seprog
