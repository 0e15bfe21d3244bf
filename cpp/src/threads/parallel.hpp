// The only file with OpenMP. It gives a call a team of threads and cuts work into pieces for them.
// Start at with_team() and parallel_for(), which the rest of the library calls. team.hpp has how
// the threads of a team wait for work and share it, runtime.cpp the settings (environment, fork).
#pragma once

#include "kernels/float_mode.hpp"
#include "threads/team.hpp"

#ifdef _OPENMP
#include <omp.h>
#endif

#include <algorithm>
#include <atomic>
#include <csetjmp>
#include <cstddef>
#include <exception>
#include <memory>

namespace fastmlp::detail {

#ifdef _OPENMP
constexpr bool kHasOpenMP = true;
#else
constexpr bool kHasOpenMP = false;
#endif

struct ThreadState {
  std::atomic<int> limit;      // num_threads()
  double min_work;             // a call gets one more thread for every min_work flops
  std::atomic<bool> forked;    // in a child made by fork() the parent's OpenMP threads are gone
  std::atomic<int> last_team;  // the size of the last team, for tests
};
ThreadState& thread_state();

/// The largest team that a call may have now.
inline int max_team() {
  const ThreadState& state = thread_state();
  if (!kHasOpenMP || state.forked.load(std::memory_order_relaxed)) return 1;
  return state.limit.load(std::memory_order_relaxed);
}

/// FASTMLP_MIN_WORK=0, for tests: every call has all threads, and all of them take part in every
/// piece of work, however small.
inline bool all_threads() { return thread_state().min_work <= 0; }

// min_work pays for starting a thread. A thread that is already in the team begins within a
// microsecond, so a piece of work may be kPiecesPerTeam times smaller.
constexpr double kPiecesPerTeam = 16;

/// The largest number of pieces that work of `flops` flops may be cut into.
inline double pieces_for(double flops) {
  return all_threads() ? 1e9 : flops * kPiecesPerTeam / thread_state().min_work;
}

/// The number of threads for a call of `flops` flops, the largest piece of which has `largest`.
inline int team_for(double flops, double largest) {
  const int limit = max_team();
  if (limit == 1 || all_threads()) return limit;
  if (pieces_for(largest) < 2) return 1;
  const double justified = 1 + flops / thread_state().min_work;
  return justified >= limit ? limit : static_cast<int>(justified);
}

/// The number of calls in this process that lead a team now.
inline std::atomic<int> calls_with_team{0};

/// team_of_this_thread(), for reading. It skips the function call while no thread leads a team,
/// because pieces of work that take nanoseconds call it.
inline Team* led_team() {
  return calls_with_team.load(std::memory_order_relaxed) == 0 ? nullptr : team_of_this_thread();
}

/// The team that can share a piece of work now, or null. A team that is already working cannot: a
/// callback has called the library again. Nor can the team of a child made by fork(), because its
/// threads do not exist there.
inline Team* current_team() {
  Team* team = led_team();
  return team == nullptr || team->is_open() || max_team() == 1 ? nullptr : team;
}
/// The number of threads that can share a piece of work now.
inline int team_size() {
  const Team* team = current_team();
  return team != nullptr ? team->size() : 1;
}

/// The largest team, of at most `size`, for which the system lets this thread start the threads. In
/// startable.cpp.
int startable_team(int size);

/// Lives as long as a call that leads a team. When several threads call the library at once, each
/// call gets its share of the processors, so that they do not fight for the same ones.
class SharedProcessors {
 public:
  SharedProcessors() : calls_(calls_with_team.fetch_add(1, std::memory_order_relaxed) + 1) {}
  ~SharedProcessors() { calls_with_team.fetch_sub(1, std::memory_order_relaxed); }
  SharedProcessors(const SharedProcessors&) = delete;
  SharedProcessors& operator=(const SharedProcessors&) = delete;

  /// The number of threads for this call: at most `size`, the number that its work justifies.
  int share(int size) const {
    return all_threads() ? size : std::clamp(max_team() / calls_, 1, size);
  }

 private:
  const int calls_;
};

#ifdef _OPENMP
/// Calls run(context). Returns when that returns, or jumps to `way_out`. (It is in runtime.cpp,
/// because GCC 12 cannot compile a template that has both setjmp() and a parallel region.)
void run_with_way_out(std::jmp_buf& way_out, void (*run)(const void*), const void* context);

/// Runs body() on this thread, as the leader of a team of at most `size` threads, and returns what
/// it throws.
///
/// A signal handler in body may call fork(). The child then has only this thread. It must not reach
/// the end of the parallel region, which would wait for the other threads, so it jumps out, over
/// frames that have nothing to destroy. It must not destroy the team either: the others were
/// waiting in it.
template <class Body>
std::exception_ptr lead_team(int size, Team*& led, const Body& body) {
  std::unique_ptr<Team> team = std::make_unique<Team>(all_threads());
  std::exception_ptr thrown;
  std::jmp_buf way_out;
  const auto region = [&] {
#pragma omp parallel num_threads(size)
    if (omp_get_thread_num() == 0) {
      team->set_size(omp_get_num_threads());
      thread_state().last_team.store(team->size(), std::memory_order_relaxed);
      led = team.get();
      try {
        const DefaultFloatMode mode;
        body();
      } catch (...) {  // must not leave a parallel region
        thrown = std::current_exception();
      }
      led = nullptr;
      if (team->is_orphaned()) std::longjmp(way_out, 1);  // NOLINT(cert-err52-cpp): see above
      team->dismiss();
    } else {
      const DefaultFloatMode mode;
      team->serve(omp_get_thread_num());
    }
  };
  run_with_way_out(way_out, [](const void* r) { (*static_cast<decltype(&region)>(r))(); }, &region);
  if (team->is_orphaned()) static_cast<void>(team.release());
  return thrown;
}
#endif

/// Runs body() with a team of at most `size` threads, which all parallel_for() and parallel_tasks()
/// in it share. If the thread already leads a team, body uses that one. Rethrows what body throws.
template <class Body>
void with_team([[maybe_unused]] int size, const Body& body) {
#ifdef _OPENMP
  Team** const led = size > 1 ? &team_of_this_thread() : nullptr;
  if (led != nullptr && *led == nullptr) {
    const SharedProcessors processors;
    const int share = startable_team(processors.share(size));
    const std::exception_ptr thrown = lead_team(share, *led, body);
    if (thrown) std::rethrow_exception(thrown);
    return;
  }
#endif
  if (led_team() == nullptr) thread_state().last_team.store(1, std::memory_order_relaxed);
  body();
}

struct Range {
  std::ptrdiff_t begin, end;
};

/// Part number `part` of [0, n) cut into `parts` parts, in whole units of `grain`.
inline Range part_of(std::ptrdiff_t n, std::ptrdiff_t grain, std::ptrdiff_t part,
                     std::ptrdiff_t parts) {
  const std::ptrdiff_t units = (n + grain - 1) / grain;
  const auto bound = [&](std::ptrdiff_t p) { return std::min(n, units * p / parts * grain); };
  return {bound(part), bound(part + 1)};
}

/// Tasks [0, count) in one queue for each thread; neighbours are in the same queue. A thread begins
/// with its own queue, which holds the same tasks in every call, so that their data is still in its
/// caches. Then it takes tasks from the other queues.
class TaskQueues {
 public:
  TaskQueues(std::ptrdiff_t count, int threads) : count_(count), queues_(std::min(threads, kMost)) {
    for (int q = 0; q < queues_; ++q) next_[q].task.store(tasks_of(q).begin);
  }
  /// Takes tasks and runs body(task) for each, until all tasks are taken.
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
  struct alignas(64) Next {  // on a cache line of its own
    std::atomic<std::ptrdiff_t> task;
  };
  Range tasks_of(int q) const { return part_of(count_, 1, q, queues_); }

  const std::ptrdiff_t count_;
  const int queues_;
  Next next_[kMost];
};

/// Runs body(task, slot) for every task in [0, count), in any order. `slot`, below `slots`, says
/// which thread of the team runs it; the calling thread has slot 0. The body is noexcept because an
/// exception must not leave a parallel region.
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

// The number of tasks for each thread when the work can be cut anywhere. With several tasks, the
// other threads can take over from one that has lost its processor for a while.
constexpr int kTasksPerThread = 4;

/// Runs body(begin, end) over parts of [0, n) in whole units of `grain`, shared by the team of the
/// surrounding with_team(). Fewer flops make fewer parts.
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
