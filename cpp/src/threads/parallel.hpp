// The one place with OpenMP, which gives a call its team of threads. Here is decided how many a
// call and a piece of its work get; team.hpp is how they share it.
// Who may use how many (settings, environment, fork) is runtime.cpp's.
#pragma once

#include "kernels/float_mode.hpp"
#include "threads/team.hpp"

#ifdef _OPENMP
#include <omp.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>

namespace fastmlp::detail {

#ifdef _OPENMP
constexpr bool kHasOpenMP = true;
#else
constexpr bool kHasOpenMP = false;
#endif

struct ThreadState {
  std::atomic<int> limit;      // num_threads()
  double min_work;             // flops of a call that justify one more thread; FASTMLP_MIN_WORK
  std::atomic<bool> forked;    // in a child made by fork() the parent's OpenMP threads are gone
  std::atomic<int> last_team;  // the size of the last team that ran, for tests
  std::atomic<int> calls{0};   // that are running now and asked for a team
};
ThreadState& thread_state();

/// The largest team that a call gets now.
inline int max_team() {
  const ThreadState& state = thread_state();
  if (!kHasOpenMP || state.forked.load(std::memory_order_relaxed)) return 1;
  return state.limit.load(std::memory_order_relaxed);
}

/// Whether every thread of a team takes part in every piece of work, however small: in tests.
inline bool all_threads() { return thread_state().min_work <= 0; }

// A thread that is in the team already begins within a microsecond, in which it could have done
// about so much less than min_work flops.
constexpr double kPiecesPerTeam = 16;

/// Into how many pieces work of so many flops may be cut.
inline double pieces_for(double flops) {
  return all_threads() ? 1e9 : flops * kPiecesPerTeam / thread_state().min_work;
}

/// How many threads a call of so many flops gets, the largest piece of which has `largest` flops.
inline int team_for(double flops, double largest) {
  const int limit = max_team();
  if (limit == 1 || all_threads()) return limit;
  if (pieces_for(largest) < 2) return 1;
  const double justified = 1 + flops / thread_state().min_work;
  return justified >= limit ? limit : static_cast<int>(justified);
}

/// The team that the calling thread leads, or null. It is read for every piece of work, some of
/// which take nanoseconds: no call to find it, which a shared library would else make.
[[gnu::tls_model("initial-exec")]] inline thread_local Team* led_team = nullptr;

/// The team that shares pieces of work here, or null: it is open where a callback came back here,
/// and in a child made by fork() its threads are gone.
inline Team* current_team() {
  Team* team = led_team;
  return team == nullptr || team->is_open() || max_team() == 1 ? nullptr : team;
}
/// How many threads share a piece of work here.
inline int team_size() {
  const Team* team = current_team();
  return team != nullptr ? team->size() : 1;
}

/// A call that asked for a team, for as long as it runs. Callers on several threads share the
/// processors: each gets its part of them, as no two need the same one then.
class SharedProcessors {
 public:
  SharedProcessors() : calls_(thread_state().calls.fetch_add(1, std::memory_order_relaxed) + 1) {}
  ~SharedProcessors() { thread_state().calls.fetch_sub(1, std::memory_order_relaxed); }
  SharedProcessors(const SharedProcessors&) = delete;
  SharedProcessors& operator=(const SharedProcessors&) = delete;

  /// How many of `size` threads this call should have.
  int share(int size) const {
    return all_threads() ? size : std::clamp(max_team() / calls_, 1, size);
  }

 private:
  const int calls_;
};

/// body() with a team of at most `size` threads at hand for all pieces of work in it. What body
/// throws comes out here.
template <class Body>
void with_team([[maybe_unused]] int size, const Body& body) {
#ifdef _OPENMP
  if (size > 1 && led_team == nullptr) {
    const SharedProcessors processors;
    const int share = processors.share(size);
    std::exception_ptr thrown;
    Team team(all_threads());
#pragma omp parallel num_threads(share)
    {
      const DefaultFloatMode mode;
      if (omp_get_thread_num() == 0) {
        team.set_size(omp_get_num_threads());
        thread_state().last_team.store(team.size(), std::memory_order_relaxed);
        led_team = &team;
        try {
          body();
        } catch (...) {  // must not leave a parallel region
          thrown = std::current_exception();
        }
        led_team = nullptr;
        team.dismiss();
      } else {
        team.serve(omp_get_thread_num());
      }
    }
    if (thrown) std::rethrow_exception(thrown);
    return;
  }
#endif
  if (led_team == nullptr) thread_state().last_team.store(1, std::memory_order_relaxed);
  body();
}

struct Range {
  std::ptrdiff_t begin, end;
};

/// One of `parts` parts of [0, n), in whole units of `grain`.
inline Range part_of(std::ptrdiff_t n, std::ptrdiff_t grain, std::ptrdiff_t part,
                     std::ptrdiff_t parts) {
  const std::ptrdiff_t units = (n + grain - 1) / grain;
  const auto bound = [&](std::ptrdiff_t p) { return std::min(n, units * p / parts * grain); };
  return {bound(part), bound(part + 1)};
}

/// Tasks [0, count) in as many queues as there are threads, a run of neighbours in each. A thread
/// begins with its own, which is the same in every call, so that it finds in its caches what it
/// left there; then it helps with the others'.
class TaskQueues {
 public:
  TaskQueues(std::ptrdiff_t count, int threads) : count_(count), queues_(std::min(threads, kMost)) {
    for (int q = 0; q < queues_; ++q) next_[q].task.store(tasks_of(q).begin);
  }
  /// Runs body(task) for tasks that nobody has taken, until there are none.
  template <class Body>
  void work(int slot, const Body& body) {
    for (int i = 0; i < queues_; ++i) {
      const int q = (slot + i) % queues_;
      const std::ptrdiff_t end = tasks_of(q).end;
      for (;;) {
        const std::ptrdiff_t task = next_[q].task.fetch_add(1, std::memory_order_relaxed);
        if (task >= end) break;
        body(task);
      }
    }
  }

 private:
  static constexpr int kMost = 64;
  struct alignas(64) Next {  // on a line of its own
    std::atomic<std::ptrdiff_t> task;
  };
  Range tasks_of(int q) const { return part_of(count_, 1, q, queues_); }

  const std::ptrdiff_t count_;
  const int queues_;
  Next next_[kMost];
};

/// body(task, slot) for every task in [0, count), in any order; `slot` is below `slots` and no two
/// bodies that run at once have the same. The body is noexcept: an exception must not leave a team.
template <class Body>
void parallel_tasks(std::ptrdiff_t count, int slots, const Body& body) {
  static_assert(noexcept(body(std::ptrdiff_t(0), 0)));
  Team* team = count > 1 || all_threads() ? current_team() : nullptr;
  if (team == nullptr) {
    for (std::ptrdiff_t task = 0; task < count; ++task) body(task, 0);
    return;
  }
  TaskQueues queues(count, team->size());
  team->run([&](int slot) noexcept {
    if (slot < slots) queues.work(slot, [&](std::ptrdiff_t task) { body(task, slot); });
  });
}

// So many tasks for each thread, where work can be cut at will: one that lost its processor for a
// while is then caught up with by the others.
constexpr int kTasksPerThread = 4;

/// Runs body(begin, end) over parts of [0, n) in whole units of `grain`, with the team there is.
template <class Body>
void parallel_for(std::ptrdiff_t n, std::ptrdiff_t grain, double flops, const Body& body) {
  if (n == 0) return;
  const Team* team = current_team();
  if (team == nullptr) return body(std::ptrdiff_t{0}, n);
  const double pieces = std::min(pieces_for(flops), double{kTasksPerThread} * team->size());
  const auto parts =
      std::clamp<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(pieces), 1, (n + grain - 1) / grain);
  parallel_tasks(parts, team->size(), [&](std::ptrdiff_t part, int) noexcept {
    const Range range = part_of(n, grain, part, parts);
    body(range.begin, range.end);
  });
}

}  // namespace fastmlp::detail
