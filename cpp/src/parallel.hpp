// The one place with OpenMP. It decides how many threads a piece of work gets, and runs it.
// Who may use how many (settings, environment, fork) is runtime.cpp's.
#pragma once

#include "kernels/float_mode.hpp"

#ifdef _OPENMP
#include <omp.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstddef>

namespace fastmlp::detail {

#ifdef _OPENMP
constexpr bool kHasOpenMP = true;
#else
constexpr bool kHasOpenMP = false;
#endif

struct ThreadState {
  std::atomic<int> limit;      // num_threads()
  double min_work;             // flops that justify one more thread; FASTMLP_MIN_WORK
  std::atomic<bool> forked;    // in a child made by fork() the parent's OpenMP threads are gone
  std::atomic<int> last_team;  // the size of the last team that ran, for tests
};
ThreadState& thread_state();

/// The largest team that a piece of work gets now.
inline int max_team() {
  const ThreadState& state = thread_state();
  if (!kHasOpenMP || state.forked.load(std::memory_order_relaxed)) return 1;
  return state.limit.load(std::memory_order_relaxed);
}

/// How many threads a piece of work of so many flops gets.
inline int team_for(double flops) {
  const ThreadState& state = thread_state();
  const int limit = max_team();
  if (state.min_work <= 0) return limit;
  const double justified = flops / state.min_work;
  return justified >= limit ? limit : std::max(1, static_cast<int>(justified));
}

/// Runs body(thread, team) on a team of at most `team` threads. The body is noexcept: an exception
/// must not leave a parallel region.
template <class Body>
void parallel([[maybe_unused]] int team, const Body& body) {
  static_assert(noexcept(body(0, 1)));
#ifdef _OPENMP
  if (team > 1) {
#pragma omp parallel num_threads(team)
    {
      const DefaultFloatMode mode;
      const int size = omp_get_num_threads();
      const int thread = omp_get_thread_num();
      if (thread == 0) thread_state().last_team.store(size, std::memory_order_relaxed);
      body(thread, size);
    }
    return;
  }
#endif
  thread_state().last_team.store(1, std::memory_order_relaxed);
  body(0, 1);
}

struct Range {
  std::ptrdiff_t begin, end;
};

/// The part of [0, n) that falls to one thread of a team, in whole units of `grain`.
inline Range share_of(std::ptrdiff_t n, std::ptrdiff_t grain, int thread, int team) {
  const std::ptrdiff_t units = (n + grain - 1) / grain;
  const auto bound = [&](std::ptrdiff_t t) { return std::min(n, units * t / team * grain); };
  return {bound(thread), bound(thread + 1)};
}

/// Runs body(begin, end) over parts of [0, n) in whole units of `grain`.
template <class Body>
void parallel_for(std::ptrdiff_t n, std::ptrdiff_t grain, double flops, const Body& body) {
  if (n == 0) return;
  parallel(team_for(flops), [&](int thread, int team) noexcept {
    const Range part = share_of(n, grain, thread, team);
    if (part.begin < part.end) body(part.begin, part.end);
  });
}

}  // namespace fastmlp::detail
