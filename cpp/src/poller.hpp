// Poller: asks should_stop at most every 20 ms, on the thread that called the library.
#pragma once

#include <fastmlp/should_stop.hpp>

#include <chrono>
#include <exception>

namespace fastmlp::detail {

class Poller {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Poller(const ShouldStop& should_stop) : should_stop_(should_stop) {
    if (should_stop_) last_ = Clock::now();
  }

  /// To be asked after a piece of work of so many flops, also inside a parallel region: whether to
  /// stop. What should_stop throws is kept for throw_if_stopped().
  bool stop_after(double flops) noexcept {
    if (!should_stop_ || stopped_) return stopped_;
    flops_ += flops;
    if (flops_ < kFlopsPerLook) return false;  // reading the clock costs as much as a tiny layer
    flops_ = 0;
    const Clock::time_point now = Clock::now();
    if (now - last_ < std::chrono::milliseconds(20)) return false;
    last_ = now;
    try {
      stopped_ = should_stop_();
    } catch (...) {
      stopped_ = true;
      thrown_ = std::current_exception();
    }
    return stopped_;
  }

  /// Counts work that must not be given up; the next look comes the sooner.
  void count(double flops) { flops_ += flops; }

  /// \throws Stopped, or what should_stop threw
  void throw_if_stopped() const {
    if (!stopped_) return;
    if (thrown_) std::rethrow_exception(thrown_);
    throw Stopped();
  }

  /// stop_after() and throw_if_stopped(), outside of parallel regions.
  void worked(double flops) {
    if (stop_after(flops)) throw_if_stopped();
  }

  /// Whether anybody may want to stop, and has had to wait since `start` for longer than a user
  /// notices.
  bool is_slow_since(Clock::time_point start) const {
    return should_stop_ && Clock::now() - start > std::chrono::milliseconds(50);
  }
  Clock::time_point now() const { return should_stop_ ? Clock::now() : Clock::time_point(); }

 private:
  static constexpr double kFlopsPerLook = 1e5;  // 1 us at the FMA peak, 1 ms at the slowest
  const ShouldStop& should_stop_;
  Clock::time_point last_;
  double flops_ = 0;
  bool stopped_ = false;
  std::exception_ptr thrown_;
};

}  // namespace fastmlp::detail
