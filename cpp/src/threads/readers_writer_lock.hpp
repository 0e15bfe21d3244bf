// ReadersWriterLock: many readers or one writer. It refuses instead of blocking: a reader is
// refused while there is a writer, a writer while there is another. Only a writer ever waits: for
// the readers that came before it. A thread can own the lock for a while; readers and writers of
// other threads are then refused too. Calls use it through ReadLock, WriteLock and Ownership, which
// throw if they are refused.
#pragma once

#include "threads/ask.hpp"
#include "threads/this_process.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <thread>

namespace fastmlp::detail {

class ReadersWriterLock {
 public:
  using Word = std::uint64_t;
  Word word() const { return word_.load(); }

  /// Refuses while there is a writer or another thread owns the lock. `old` is the word that this
  /// thread has read. Other threads may have changed the word since then; a test passes such an old
  /// word on purpose.
  bool try_lock_shared() { return try_lock_shared(word()); }
  bool try_lock_shared(Word old) {
    Word now;
    do {
      now = in_this_process(old);
      if ((now & kClosed) != 0 && !is_open_to_owner(now)) return false;
    } while (!word_.compare_exchange_weak(old, now + 1));
    return true;
  }

  /// Refuses while there is another writer or another thread owns the lock. Otherwise no new reader
  /// gets in from now on. Refuses also if the present readers have not left after `patience`.
  /// \throws Stopped if should_stop says so meanwhile, or what it throws
  bool try_lock(std::chrono::milliseconds patience, const ShouldStop& should_stop = {}) {
    Word old = word_.load(), now;
    do {
      now = in_this_process(old);
      if ((now & kClosed) != 0 && !is_open_to_owner(now)) return false;
    } while (!word_.compare_exchange_weak(old, now | kWriter));
    if ((now & kReaders) == 0) return true;  // nearly always: without a look at the clock
    const auto generation = static_cast<std::uint32_t>(now >> kGenerationShift);
    bool alone = false;
    try {
      alone = readers_leave(patience, should_stop);
    } catch (...) {
      unlock(generation);
      throw;
    }
    if (generation != fork_generation.load()) return try_lock(patience, should_stop);
    if (!alone) unlock(generation);
    return alone;
  }

  /// From now on refuses every other thread. Refuses while there is a writer or an owner; readers
  /// that are in may stay.
  bool try_own() {
    Word old = word_.load(), now;
    do {
      now = in_this_process(old);
      if ((now & kClosed) != 0) return false;
    } while (!word_.compare_exchange_weak(old, now | kOwned));
    owner_.store(number_of_this_thread());
    return true;
  }
  bool is_owned() const { return (in_this_process(word()) & kOwned) != 0; }
  bool is_owned_by_this_thread() const {
    return is_owned() && owner_.load() == number_of_this_thread();
  }

  /// `generation` is the fork_generation of the process that took the lock. In a child made by
  /// fork() since then the lock no longer counts, and nothing happens.
  void unlock_shared(std::uint32_t generation) {
    if (generation == fork_generation.load(std::memory_order_relaxed)) word_.fetch_sub(1);
  }
  void unlock(std::uint32_t generation) {
    if (generation == fork_generation.load(std::memory_order_relaxed)) word_.fetch_and(~kWriter);
  }
  void disown(std::uint32_t generation) {
    if (generation != fork_generation.load(std::memory_order_relaxed)) return;
    owner_.store(0);  // before another thread can own the lock
    word_.fetch_and(~kOwned);
  }

 private:
  static constexpr int kGenerationShift = 32;
  static constexpr Word kOwned = Word{1} << 31, kWriter = Word{1} << 30, kReaders = kWriter - 1;
  static constexpr Word kClosed = kOwned | kWriter;

  /// `word`, or a free lock if `word` is from before this process came out of fork(): the threads
  /// that held the lock in the parent do not exist here and will never unlock it.
  static Word in_this_process(Word word) {
    const Word generation = fork_generation.load(std::memory_order_relaxed);
    return word >> kGenerationShift == generation ? word : generation << kGenerationShift;
  }

  /// Waits for the readers. Returns whether they have left.
  [[gnu::cold]] bool readers_leave(std::chrono::milliseconds patience,
                                   const ShouldStop& should_stop) const {
    using Clock = std::chrono::steady_clock;
    // The call that asked may be the reader. It returns only after this thread.
    if (is_asking()) patience = std::min(patience, std::chrono::milliseconds(100));
    const auto begin = Clock::now();
    auto asked = begin;
    while ((in_this_process(word()) & kReaders) != 0) {
      if (Clock::now() - begin >= patience) return false;
      if (should_stop && Clock::now() - asked >= std::chrono::milliseconds(20)) {
        if (ask(should_stop)) throw Stopped();
        asked = Clock::now();
      }
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
    return true;
  }

  /// Whether a closed lock is closed only to other threads.
  [[gnu::cold]] bool is_open_to_owner(Word word) const {
    return (word & kWriter) == 0 && owner_.load() == number_of_this_thread();
  }

  // The generation, the writer and the number of readers share one word. A thread that finds an old
  // generation therefore replaces it and takes its own lock in one atomic step, and two threads of
  // a child cannot undo each other's lock.
  std::atomic<Word> word_{0};
  // number_of_this_thread() of the owner, or 0. After fork(), no thread has an old number.
  std::atomic<std::uint64_t> owner_{0};
};

/// The messages of a refused call: if another call has the lock, and if another thread owns it.
struct Refusal {
  const char* in_use;
  const char* owned = in_use;

  [[noreturn, gnu::cold, gnu::noinline]] void fail(const ReadersWriterLock& lock) const {
    throw std::runtime_error(lock.is_owned() && !lock.is_owned_by_this_thread() ? owned : in_use);
  }
};

/// A reader for as long as it lives. \throws std::runtime_error if refused
class ReadLock {
 public:
  ReadLock(ReadersWriterLock& lock, const Refusal& refusal) : lock_(lock) {
    if (!lock_.try_lock_shared()) refusal.fail(lock_);
  }
  ~ReadLock() { lock_.unlock_shared(generation_); }
  ReadLock(const ReadLock&) = delete;
  ReadLock& operator=(const ReadLock&) = delete;

 private:
  ReadersWriterLock& lock_;
  const std::uint32_t generation_ = fork_generation.load(std::memory_order_relaxed);
};

// How long a call that writes waits for calls that read to return: one that has a should_stop, and
// one that nothing can stop. Most predictions take less.
constexpr std::chrono::seconds kPatience(10), kShortPatience(1);

/// The only writer for as long as it lives. \throws std::runtime_error if refused, or as try_lock()
class WriteLock {
 public:
  WriteLock(ReadersWriterLock& lock, const Refusal& refusal,
            std::chrono::milliseconds patience = std::chrono::milliseconds(0),
            const ShouldStop& should_stop = {})
      : lock_(lock) {
    if (!lock_.try_lock(patience, should_stop)) refusal.fail(lock_);
  }
  ~WriteLock() { lock_.unlock(generation_); }
  WriteLock(const WriteLock&) = delete;
  WriteLock& operator=(const WriteLock&) = delete;

 private:
  ReadersWriterLock& lock_;
  const std::uint32_t generation_ = fork_generation.load(std::memory_order_relaxed);
};

/// Makes this thread the owner for as long as it lives. Does nothing if the thread is the owner
/// already. \throws std::runtime_error if refused
class Ownership {
 public:
  Ownership(ReadersWriterLock& lock, const Refusal& refusal)
      : lock_(lock), nested_(lock.is_owned_by_this_thread()) {
    if (!nested_ && !lock_.try_own()) refusal.fail(lock_);
  }
  ~Ownership() {
    if (!nested_) lock_.disown(generation_);
  }
  Ownership(const Ownership&) = delete;
  Ownership& operator=(const Ownership&) = delete;

 private:
  ReadersWriterLock& lock_;
  const bool nested_;
  const std::uint32_t generation_ = fork_generation.load(std::memory_order_relaxed);
};

}  // namespace fastmlp::detail
