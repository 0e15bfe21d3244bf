// UseCount: many readers or one writer. A writer waits for the readers that are there to leave,
// while new ones are refused; readers and second writers never wait.
#pragma once

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

namespace fastmlp::detail {

/// How many times this process has come out of fork() as the child. Calls that other threads of the
/// parent were in do not go on in the child, and their uses do not count there.
std::atomic<int>& fork_generation();

class UseCount {
 public:
  bool try_share() {
    forget_the_parents_threads();
    readers_.fetch_add(1);
    if (!owned_) return true;
    readers_.fetch_sub(1);
    return false;
  }
  void unshare() { readers_.fetch_sub(1); }

  /// Refuses where there is another writer, or where readers are still there after `patience`.
  bool try_own(std::chrono::milliseconds patience) {
    forget_the_parents_threads();
    if (owned_.exchange(true)) return false;
    if (readers_ == 0) return true;  // as nearly always: without a look at the clock
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (readers_ > 0) {
      if (std::chrono::steady_clock::now() >= deadline) {
        owned_ = false;
        return false;
      }
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
    return true;
  }
  void disown() { owned_ = false; }

 private:
  void forget_the_parents_threads() {
    const int generation = fork_generation().load(std::memory_order_relaxed);
    if (generation == generation_.load(std::memory_order_relaxed)) return;
    generation_ = generation;
    readers_ = 0;
    owned_ = false;
  }

  // Sequentially consistent: a reader that counts itself and then looks for a writer, and a writer
  // that announces itself and then counts readers, cannot miss each other.
  std::atomic<int> readers_{0};
  std::atomic<bool> owned_{false};
  std::atomic<int> generation_{fork_generation().load()};
};

/// Reads for as long as it lives.
class Sharing {
 public:
  Sharing(UseCount& count, const char* refusal) : count_(count) {
    if (!count_.try_share()) throw std::runtime_error(refusal);
  }
  ~Sharing() { count_.unshare(); }
  Sharing(const Sharing&) = delete;
  Sharing& operator=(const Sharing&) = delete;

 private:
  UseCount& count_;
};

/// Writes, alone, for as long as it lives.
class Owning {
 public:
  Owning(UseCount& count, const char* refusal,
         std::chrono::milliseconds patience = std::chrono::milliseconds(0))
      : count_(count) {
    if (!count_.try_own(patience)) throw std::runtime_error(refusal);
  }
  ~Owning() { count_.disown(); }
  Owning(const Owning&) = delete;
  Owning& operator=(const Owning&) = delete;

 private:
  UseCount& count_;
};

}  // namespace fastmlp::detail
