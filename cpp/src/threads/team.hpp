// Team: a few threads that stay together for a whole call of the library and share its pieces of
// work. One of them is the caller, which never waits for a thread that has not begun: if the others
// are late, asleep or without a processor, the caller does their part of the work. parallel.hpp
// starts the threads. Start reading at run(), which the caller calls, and serve(), in which the
// others wait.
#pragma once

#include "threads/this_process.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace fastmlp::detail {

/// Tells the processor that this loop only waits.
inline void spin_pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

class Team {
 public:
  /// `all`, for tests: run() waits until every thread takes part, so that a test sees what threads
  /// do to results.
  explicit Team(bool all) : all_(all) {}
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  /// The number of threads, the caller included. The caller sets it once, before run().
  void set_size(int size) { size_ = size; }
  int size() const { return size_; }

  /// Runs work(0) on this thread, the caller, and work(slot) on every other thread that arrives
  /// before work(0) returns. Returns when all of them have left. work must not call run().
  template <class Work>
  void run(const Work& work) {
    static_assert(noexcept(work(0)));
    context_ = &work;
    invoke_ = [](const void* context, int slot) noexcept {
      (*static_cast<const Work*>(context))(slot);
    };
    open_ = true;
    came_.store(1, std::memory_order_relaxed);
    generation_.fetch_add(1);  // odd: there is work
    wake();
    if (all_) wait([&] { return came_.load() == size_; });
    work(0);
    generation_.fetch_add(1);  // even: no thread may begin any more
    wait([&] { return inside_.load() == 0 || is_orphaned(); });
    open_ = false;
  }

  /// Whether run() is running. If so, a callback in it has called the library again.
  bool is_open() const { return open_; }

  /// Whether this process is a child that fork() made after the team: the other threads do not
  /// exist here.
  bool is_orphaned() const { return fork_generation.load() != generation_of_process_; }

  /// Runs on each of the other threads: waits for work and takes part in it, until dismiss().
  void serve(int slot) {
    std::uint64_t seen = 0;
    for (;;) {
      const std::uint64_t generation = wait_for_work(seen);
      if (generation == kDismissed) return;
      // Counts itself before the second look at generation_. Either run() sees that this thread is
      // inside, or this thread sees that run() has closed the work.
      inside_.fetch_add(1);
      if (generation_.load() == generation) {
        came_.fetch_add(1);
        invoke_(context_, slot);
      }
      inside_.fetch_sub(1);
      seen = generation;
    }
  }

  void dismiss() {
    generation_.store(kDismissed);
    wake();
  }

 private:
  static constexpr std::uint64_t kDismissed = ~std::uint64_t{0};
  // How long a thread looks for work before it sleeps. It must outlast the caller's work between
  // two shared pieces, or threads would be woken up again and again; longer only wastes processor
  // time.
  static constexpr std::chrono::microseconds kSpin{100};
  static constexpr int kPausesPerLook = 64;  // a look at the clock costs about as much as these

  bool is_work(std::uint64_t generation, std::uint64_t seen) const {
    return generation == kDismissed || (generation % 2 == 1 && generation != seen);
  }

  std::uint64_t wait_for_work(std::uint64_t seen) {
    std::uint64_t generation = 0;
    const auto there_is_work = [&] {
      generation = generation_.load();
      return is_work(generation, seen);
    };
    const auto deadline = std::chrono::steady_clock::now() + kSpin;
    do {
      for (int i = 0; i < kPausesPerLook; ++i) {
        if (there_is_work()) return generation;
        spin_pause();
      }
      // With more threads than processors, another thread may need this processor first.
      if (all_) std::this_thread::yield();
    } while (std::chrono::steady_clock::now() < deadline);
    std::unique_lock lock(mutex_);
    ++sleepers_;
    wake_up_.wait(lock, there_is_work);
    --sleepers_;
    return generation;
  }

  // A thread that goes to sleep counts itself and then looks at generation_ once more. Either it is
  // counted here, or it sees that generation_ has changed.
  void wake() {
    if (sleepers_.load() == 0) return;
    const std::lock_guard lock(mutex_);
    wake_up_.notify_all();
  }

  /// Spins at first, because done() is soon true; then yields, because another thread may need this
  /// processor to finish.
  template <class Done>
  static void wait(const Done& done) {
    for (int i = 0; !done(); ++i) {
      if (i < 1000) {
        spin_pause();
      } else {
        std::this_thread::yield();
      }
    }
  }

  const bool all_;
  const std::uint32_t generation_of_process_ = fork_generation.load();
  int size_ = 1;
  bool open_ = false;
  const void* context_ = nullptr;
  void (*invoke_)(const void*, int) noexcept = nullptr;
  // Each on a cache line of its own: waiting threads read generation_, all threads write the
  // others.
  alignas(64) std::atomic<std::uint64_t> generation_{0};
  alignas(64) std::atomic<int> inside_{0};
  std::atomic<int> came_{1};
  alignas(64) std::atomic<int> sleepers_{0};
  std::mutex mutex_;
  std::condition_variable wake_up_;
};

/// The team that the calling thread leads, or null. The variable is thread-local: a shared library
/// needs a function call (__tls_get_addr) to find it.
Team*& team_of_this_thread();

}  // namespace fastmlp::detail
