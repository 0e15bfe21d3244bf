// Team: a few threads that stay together for a whole call of the library and share its pieces of
// work. The caller is one of them and never waits for one that has not begun: where the others are
// late, asleep or without a processor, it does their part. Where threads come from is
// parallel.hpp's.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace fastmlp::detail {

/// Tells the processor that this is a loop that waits.
inline void spin_pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

class Team {
 public:
  /// `all` makes every piece of work wait until all threads are in it, which shows in tests what
  /// threads do to results.
  explicit Team(bool all) : all_(all) {}
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  /// How many threads there are, the caller included; said once, by the caller, before run().
  void set_size(int size) { size_ = size; }
  int size() const { return size_; }

  /// The caller's part: work(0) here, and work(slot) on each of the others that comes in before
  /// this one is done. Returns when all that came have left. Not to be called from inside a work.
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
    generation_.fetch_add(1);  // even: nobody may come in any more
    wait([&] { return inside_.load() == 0; });
    open_ = false;
  }

  /// Whether the caller is inside of run(), where a callback may lead back into the library.
  bool is_open() const { return open_; }

  /// What the other threads do until dismiss().
  void serve(int slot) {
    std::uint64_t seen = 0;
    for (;;) {
      const std::uint64_t generation = wait_for_work(seen);
      if (generation == kDismissed) return;
      // Counted before the second look: run() either sees this thread inside, or has closed the
      // work, which this thread then sees.
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
  // How long a thread looks for work before it sleeps: longer than the work of one thread between
  // two pieces for all, shorter than what waking it up costs often enough to matter.
  static constexpr std::chrono::microseconds kSpin{100};
  static constexpr int kPausesPerLook = 64;  // at the clock, which costs about as much as these

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
      // In a team larger than the machine somebody else may have to run first.
      if (all_) std::this_thread::yield();
    } while (std::chrono::steady_clock::now() < deadline);
    std::unique_lock lock(mutex_);
    ++sleepers_;
    wake_up_.wait(lock, there_is_work);
    --sleepers_;
    return generation;
  }

  // Either a thread that goes to sleep is counted before generation_ changes, and is seen here, or
  // it sees the change.
  void wake() {
    if (sleepers_.load() == 0) return;
    const std::lock_guard lock(mutex_);
    wake_up_.notify_all();
  }

  /// For what comes soon, unless a thread has lost its processor: then this one gives way.
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
  int size_ = 1;
  bool open_ = false;
  const void* context_ = nullptr;
  void (*invoke_)(const void*, int) noexcept = nullptr;
  // Each on a line of its own: the first is read by all who wait, the others are written by all.
  alignas(64) std::atomic<std::uint64_t> generation_{0};
  alignas(64) std::atomic<int> inside_{0};
  std::atomic<int> came_{1};
  alignas(64) std::atomic<int> sleepers_{0};
  std::mutex mutex_;
  std::condition_variable wake_up_;
};

}  // namespace fastmlp::detail
