// ReadersWriterLock: many readers or one writer. It refuses instead of blocking: a reader is
// refused while there is a writer, a writer while there is another. Only a writer ever waits: for
// the readers that came before it. Calls use it through ReadLock and WriteLock, which throw if they
// are refused.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <thread>

namespace fastmlp::detail {

/// The number of fork() calls between the first process and this one. runtime.cpp counts it.
inline std::atomic<std::uint32_t> fork_generation{0};

class ReadersWriterLock {
 public:
  using Word = std::uint64_t;
  Word word() const { return word_.load(); }

  /// Refuses while there is a writer. `old` is the word that this thread has read. Other threads
  /// may have changed the word since then; a test passes such an old word on purpose.
  bool try_lock_shared() { return try_lock_shared(word()); }
  bool try_lock_shared(Word old) {
    Word now;
    do {
      now = in_this_process(old);
      if ((now & kWriter) != 0) return false;
    } while (!word_.compare_exchange_weak(old, now + 1));
    return true;
  }

  /// Refuses while there is another writer. Otherwise no new reader gets in from now on. Refuses
  /// also if the present readers have not left after `patience`.
  bool try_lock(std::chrono::milliseconds patience) {
    Word old = word_.load(), now;
    do {
      now = in_this_process(old);
      if ((now & kWriter) != 0) return false;
    } while (!word_.compare_exchange_weak(old, now | kWriter));
    if ((now & kReaders) == 0) return true;  // nearly always: without a look at the clock
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while ((word_.load() & kReaders) != 0) {
      if (std::chrono::steady_clock::now() >= deadline) {
        unlock(static_cast<std::uint32_t>(now >> kGenerationShift));
        return false;
      }
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
    return true;
  }

  /// `generation` is the fork_generation of the process that took the lock. In a child made by
  /// fork() since then the lock no longer counts, and nothing happens.
  void unlock_shared(std::uint32_t generation) {
    if (generation == fork_generation.load(std::memory_order_relaxed)) word_.fetch_sub(1);
  }
  void unlock(std::uint32_t generation) {
    if (generation == fork_generation.load(std::memory_order_relaxed)) word_.fetch_and(~kWriter);
  }

 private:
  static constexpr int kGenerationShift = 32;
  static constexpr Word kWriter = Word{1} << 31, kReaders = kWriter - 1;

  /// `word`, or a free lock if `word` is from before this process came out of fork(): the threads
  /// that held the lock in the parent do not exist here and will never unlock it.
  static Word in_this_process(Word word) {
    const Word generation = fork_generation.load(std::memory_order_relaxed);
    return word >> kGenerationShift == generation ? word : generation << kGenerationShift;
  }

  // The generation, the writer and the number of readers share one word. A thread that finds an old
  // generation therefore replaces it and takes its own lock in one atomic step, and two threads of
  // a child cannot undo each other's lock.
  std::atomic<Word> word_{0};
};

/// A reader for as long as it lives. \throws std::runtime_error(refusal)
class ReadLock {
 public:
  ReadLock(ReadersWriterLock& lock, const char* refusal) : lock_(lock) {
    if (!lock_.try_lock_shared()) throw std::runtime_error(refusal);
  }
  ~ReadLock() { lock_.unlock_shared(generation_); }
  ReadLock(const ReadLock&) = delete;
  ReadLock& operator=(const ReadLock&) = delete;

 private:
  ReadersWriterLock& lock_;
  const std::uint32_t generation_ = fork_generation.load(std::memory_order_relaxed);
};

/// The only writer for as long as it lives. \throws std::runtime_error(refusal)
class WriteLock {
 public:
  WriteLock(ReadersWriterLock& lock, const char* refusal,
            std::chrono::milliseconds patience = std::chrono::milliseconds(0))
      : lock_(lock) {
    if (!lock_.try_lock(patience)) throw std::runtime_error(refusal);
  }
  ~WriteLock() { lock_.unlock(generation_); }
  WriteLock(const WriteLock&) = delete;
  WriteLock& operator=(const WriteLock&) = delete;

 private:
  ReadersWriterLock& lock_;
  const std::uint32_t generation_ = fork_generation.load(std::memory_order_relaxed);
};

}  // namespace fastmlp::detail
