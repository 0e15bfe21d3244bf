// Poller: asks should_stop at most every 20 ms, between pieces of work.
#pragma once

#include <fastmlp/network.hpp>

#include <chrono>

namespace fastmlp::detail {

class Poller {
 public:
  explicit Poller(const ShouldStop& should_stop) : should_stop_(should_stop) {
    if (should_stop_) last_ = Clock::now();
  }

  /// To be called after a piece of work of so many flops. \throws Stopped
  void worked(double flops) {
    if (!should_stop_) return;
    flops_ += flops;
    if (flops_ < kFlopsPerLook) return;  // reading the clock costs as much as a tiny layer
    flops_ = 0;
    const Clock::time_point now = Clock::now();
    if (now - last_ < std::chrono::milliseconds(20)) return;
    last_ = now;
    if (should_stop_()) throw Stopped();
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr double kFlopsPerLook = 1e5;  // 1 us at the FMA peak, 1 ms at the slowest
  const ShouldStop& should_stop_;
  Clock::time_point last_;
  double flops_ = 0;
};

}  // namespace fastmlp::detail
