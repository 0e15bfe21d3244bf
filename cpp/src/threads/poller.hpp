// Poller: how a call of the library notices that it should stop. The call reports its work to the
// Poller, which asks should_stop at most every 20 ms, always on the thread that called the library.
#pragma once

#include "threads/ask.hpp"
#include "threads/team.hpp"

#include <fastmlp/should_stop.hpp>

#include <chrono>
#include <exception>
#include <stdexcept>

namespace fastmlp::detail {

class Poller {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Poller(const ShouldStop& should_stop) : should_stop_(should_stop) {}

  /// Reports a finished piece of work of `flops` flops; returns whether to stop. Never throws, so
  /// it may be called inside a parallel region, but only by the thread that called the library. An
  /// exception of should_stop is kept for throw_if_stopped().
  bool stop_after(double flops) noexcept {
    if (!should_stop_ || stopped_) return stopped_;
    flops_ += flops;
    if (flops_ < kFlopsPerLook) return false;  // reading the clock costs as much as a tiny layer
    look();
    if (seen_ - asked_ < std::chrono::milliseconds(20)) return false;
    asked_ = seen_;
    try {
      stopped_ = ask(should_stop_);
      if (!stopped_) require_same_team();
    } catch (...) {
      stopped_ = true;
      thrown_ = std::current_exception();
    }
    return stopped_;
  }

  /// Reports work after which the call must not stop yet; it may stop after the next piece.
  void count(double flops) { flops_ += flops; }

  /// \throws Stopped, or what should_stop threw
  void throw_if_stopped() const {
    if (!stopped_) return;
    if (thrown_) std::rethrow_exception(thrown_);
    throw Stopped();
  }

  /// stop_after() and throw_if_stopped(); not inside a parallel region.
  void worked(double flops) {
    if (stop_after(flops)) throw_if_stopped();
  }

  /// The time of the last look at the clock, at most kFlopsPerLook of reported work ago.
  Clock::time_point now() {
    if (should_stop_ && seen_ == Clock::time_point()) look();
    return seen_;
  }
  /// Whether there is a should_stop and more than 50 ms, which a user notices, lay between `start`
  /// and the last look at the clock.
  bool is_slow_since(Clock::time_point start) const {
    return should_stop_ && seen_ - start > std::chrono::milliseconds(50);
  }

  static constexpr double kFlopsPerLook = 1e6;  // 10 us at the FMA peak, 10 ms at the slowest

 private:
  /// \throws std::runtime_error if should_stop has forked, this is the child, and the call had a
  /// team: its other threads do not exist here, and what they had begun is lost
  void require_same_team() const {
    if (fork_generation.load() == generation_of_process_ || team_of_this_thread() == nullptr)
      return;
    throw std::runtime_error(
        "the process was forked during a call that runs on several threads, which this child does "
        "not have; call again");
  }

  void look() {
    flops_ = 0;
    seen_ = Clock::now();
    if (asked_ == Clock::time_point()) asked_ = seen_;  // the first look: the 20 ms begin now
  }

  const ShouldStop& should_stop_;
  const std::uint32_t generation_of_process_ = fork_generation.load();
  Clock::time_point seen_, asked_;  // of the last look and the last question; zero before the first
  double flops_ = 0;
  bool stopped_ = false;
  std::exception_ptr thrown_;
};

}  // namespace fastmlp::detail
