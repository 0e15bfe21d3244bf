// Team alone, on threads of the standard library, which ThreadSanitizer understands; and
// parallel.hpp with OpenMP's threads: nested work, exceptions, shares of the processors.
#include "support.hpp"
#include "threads/parallel.hpp"
#include "threads/team.hpp"

#include <fastmlp/runtime.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/wait.h>
#include <unistd.h>
#endif

using namespace fastmlp;
using namespace fastmlp::testing;
using fastmlp::detail::Team;

namespace {

/// Runs body(team) with `size` threads in the team, the calling one included.
template <class Body>
void with_threads(int size, bool all, const Body& body) {
  Team team(all);
  team.set_size(size);
  std::vector<std::thread> others;
  for (int slot = 1; slot < size; ++slot) others.emplace_back([&team, slot] { team.serve(slot); });
  body(team);
  team.dismiss();
  for (std::thread& other : others) other.join();
}

/// More threads than processors, so that some threads have no processor.
int crowd() { return static_cast<int>(std::min(2 * std::thread::hardware_concurrency() + 1, 16u)); }

}  // namespace

TEST_CASE("every task of many tiny regions runs once, on more threads than processors") {
  for (const bool all : {false, true}) {
    CAPTURE(all);
    constexpr int kRegions = 2000;
    std::vector<int> runs(5);  // not atomic: a region must end before the next begins
    with_threads(crowd(), all, [&](Team& team) {
      for (int region = 0; region < kRegions; ++region) {
        std::atomic<std::size_t> next{0};
        team.run([&](int) noexcept {
          for (std::size_t task; (task = next.fetch_add(1, std::memory_order_relaxed)) < 5;) {
            ++runs[task];
          }
        });
        // The caller may now use the results of the others and prepare the next region.
        if (std::accumulate(runs.begin(), runs.end(), 0) != 5 * (region + 1)) break;
      }
    });
    CHECK(runs == std::vector<int>(5, kRegions));
  }
}

TEST_CASE("no thread begins a region that has ended") {
  std::atomic<bool> open{false};
  std::atomic<int> late{0};
  const auto work = [&](int) noexcept { late += !open.load(); };
  with_threads(3, false, [&](Team& team) {
    for (int region = 0; region < 100000; ++region) {
      open = true;
      team.run(work);
      open = false;
      for (int i = 0; i < 10; ++i) detail::spin_pause();
    }
  });
  CHECK(late == 0);
}

TEST_CASE("if all threads take part, each slot runs every region once") {
  const int size = crowd();
  std::vector<int> runs(static_cast<std::size_t>(size));
  with_threads(size, true, [&](Team& team) {
    for (int region = 0; region < 200; ++region) {
      team.run([&](int slot) noexcept { ++runs[static_cast<std::size_t>(slot)]; });
    }
  });
  CHECK(runs == std::vector<int>(runs.size(), 200));
}

TEST_CASE("sleeping threads wake up for work, and for the end of the team") {
  std::atomic<int> came{0};
  with_threads(3, true, [&](Team& team) {
    for (int region = 0; region < 5; ++region) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));  // 50 times as long as they spin
      team.run([&](int) noexcept { ++came; });
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  });
  CHECK(came == 15);
}

TEST_CASE("a team of one thread works, and a team without work ends") {
  int runs = 0;
  with_threads(1, true, [&](Team& team) { team.run([&](int) noexcept { ++runs; }); });
  CHECK(runs == 1);
  for (int i = 0; i < 50; ++i) with_threads(4, i % 2 == 0, [](Team&) {});
}

TEST_CASE("a team is open while it works, and only then") {
  with_threads(2, true, [](Team& team) {
    CHECK(!team.is_open());
    bool open = false;
    team.run([&](int slot) noexcept {
      if (slot == 0) open = team.is_open();
    });
    CHECK(open);
    CHECK(!team.is_open());
  });
}

TEST_CASE("a thread that calls the library from inside a task does that work alone, once") {
  const Settings restore;
  set_num_threads(4);
  std::atomic<int> inner{0};
  detail::with_team(4, [&] {
    detail::parallel_tasks(6, 4, [&](std::ptrdiff_t, int) noexcept {
      detail::with_team(4, [&] {  // like a callback that calls the library
        detail::parallel_tasks(10, 4, [&](std::ptrdiff_t, int) noexcept { ++inner; });
      });
    });
  });
  CHECK(inner == 60);
}

TEST_CASE("each of any number of tasks is done once, whichever thread comes first") {
  for (const int threads : {1, 2, 3, 64, 65, 200}) {
    for (const std::ptrdiff_t count : {0, 1, 2, 3, 7, 63, 64, 65, 130, 500}) {
      CAPTURE(threads);
      CAPTURE(count);
      detail::TaskQueues queues(count, threads);
      std::vector<int> done(static_cast<std::size_t>(count));
      const auto take = [&](std::ptrdiff_t task) { ++done[static_cast<std::size_t>(task)]; };
      queues.work(threads - 1, take);  // the first thread to come does all tasks
      queues.work(0, take);
      CHECK(std::count(done.begin(), done.end(), 1) == count);
    }
  }
}

TEST_CASE("threads that take tasks at the same time take each task once") {
  const Settings restore;
  set_num_threads(2);
  constexpr std::ptrdiff_t kCount = 300;
  int wrong = 0;
  detail::with_team(2, [&] {
    for (int i = 0; i < 2000; ++i) {
      std::array<std::atomic<int>, kCount> done{};
      detail::parallel_tasks(kCount, 2, [&](std::ptrdiff_t task, int) noexcept {
        done[static_cast<std::size_t>(task)].fetch_add(1, std::memory_order_relaxed);
      });
      for (const std::atomic<int>& n : done) wrong += n != 1;
    }
  });
  CHECK(wrong == 0);
}

TEST_CASE("a thread does its own tasks in order, and then those of the others") {
  detail::TaskQueues queues(8, 4);
  std::vector<std::ptrdiff_t> taken;
  queues.work(2, [&](std::ptrdiff_t task) { taken.push_back(task); });
  CHECK(taken == std::vector<std::ptrdiff_t>{4, 5, 6, 7, 0, 1, 2, 3});
}

TEST_CASE("an exception leaves its team, and the next team works") {
  const Settings restore;
  set_num_threads(3);
  for (int i = 0; i < 20; ++i) {
    std::atomic<int> tasks{0};
    const auto body = [&] {
      detail::parallel_tasks(7, 3, [&](std::ptrdiff_t, int) noexcept { ++tasks; });
      throw std::runtime_error("thrown by the body");
    };
    CHECK_THROWS_WITH_AS(detail::with_team(3, body), "thrown by the body", std::runtime_error);
    CHECK(tasks == 7);
    CHECK(detail::current_team() == nullptr);
  }
}

#if defined(__unix__) || defined(__APPLE__)
TEST_CASE("a child forked inside a piece of work leaves its team, and continues alone") {
  const Settings restore;
  set_num_threads(2);
  pid_t child = -1;
  const auto fork_in = [&](int slot) noexcept {
    if (slot != 0) return;
    child = fork();
    if (child == 0) alarm(20);  // ends a child that hangs
  };
  detail::with_team(2, [&] {
    Team* team = detail::current_team();
    team != nullptr ? team->run(fork_in) : fork_in(0);  // null without OpenMP
  });
  int tasks = 0;
  detail::with_team(
      2, [&] { detail::parallel_tasks(9, 1, [&](std::ptrdiff_t, int) noexcept { ++tasks; }); });
  const bool done = tasks == 9 && detail::team_of_this_thread() == nullptr;
  if (child == 0) _exit(done ? 0 : 1);
  CHECK(done);
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(status == 0);
}
#endif

TEST_CASE("calls that run at once share the processors") {
  const Settings restore;
  set_num_threads(4);
  const int most = detail::max_team();  // 1 without OpenMP
  const double min_work = detail::thread_state().min_work;
  detail::thread_state().min_work = 1e6;  // if it is 0, every call gets all threads
  {
    const detail::SharedProcessors first;
    CHECK(first.share(4) == most);
    CHECK(first.share(1) == 1);
    {
      const detail::SharedProcessors second;
      CHECK(second.share(4) == std::max(most / 2, 1));
      CHECK(detail::SharedProcessors().share(4) == 1);
    }
    CHECK(detail::SharedProcessors().share(3) == std::max(most / 2, 1));
    detail::thread_state().min_work = 0;
    CHECK(detail::SharedProcessors().share(4) == 4);
  }
  detail::thread_state().min_work = min_work;
}
