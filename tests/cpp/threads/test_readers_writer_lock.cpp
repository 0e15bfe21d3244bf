// ReadersWriterLock by itself, on threads of the standard library, and in a child made by fork().
// The child lacks the threads that held the lock in the parent.
#include "threads/readers_writer_lock.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/wait.h>
#include <unistd.h>
#endif

using namespace fastmlp::detail;

namespace {

constexpr std::chrono::milliseconds kNoPatience(0);

bool can_read(ReadersWriterLock& lock) {
  try {
    const ReadLock reading(lock, {"refused"});
    return true;
  } catch (const std::runtime_error&) {
    return false;
  }
}
bool can_write(ReadersWriterLock& lock) {
  try {
    const WriteLock writing(lock, {"refused"});
    return true;
  } catch (const std::runtime_error&) {
    return false;
  }
}

#if defined(__unix__) || defined(__APPLE__)
/// Runs body() in a child made by fork(), and counts the fork as the library does. Returns the exit
/// status of the child.
template <class Body>
int in_child(const Body& body) {
  const pid_t pid = fork();
  if (pid == 0) {
    ++fork_generation;  // runtime.cpp does this by pthread_atfork; here nothing has called it
    _exit(body());
  }
  int status = -1;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
#endif

}  // namespace

TEST_CASE("many readers, or one writer") {
  ReadersWriterLock lock;
  {
    const ReadLock first(lock, {"refused"}), second(lock, {"refused"});
    CHECK(!can_write(lock));
    CHECK(can_read(lock));
  }
  {
    const WriteLock writing(lock, {"refused"});
    CHECK(!can_read(lock));
    CHECK(!can_write(lock));
    CHECK_THROWS_WITH_AS(ReadLock(lock, {"the refusal"}), "the refusal", std::runtime_error);
  }
  CHECK(can_read(lock));
  CHECK(can_write(lock));
}

TEST_CASE("a writer waits for the readers that are in, while new ones are refused") {
  ReadersWriterLock lock;
  auto reading = std::make_unique<ReadLock>(lock, Refusal{"refused"});
  std::atomic<bool> wrote{false};
  std::thread writer([&] { wrote = lock.try_lock(std::chrono::seconds(60)); });
  while (can_read(lock)) std::this_thread::yield();  // until the writer has come
  CHECK(!wrote);
  reading.reset();
  writer.join();
  CHECK(wrote);
}

TEST_CASE("a writer that ran out of patience leaves the lock as it was") {
  ReadersWriterLock lock;
  const ReadLock reading(lock, {"refused"});
  CHECK(!lock.try_lock(std::chrono::milliseconds(1)));
  CHECK(can_read(lock));
  CHECK(!can_write(lock));
}

TEST_CASE("a waiting writer asks should_stop, and leaves the lock as it was if it stops") {
  ReadersWriterLock lock;
  const ReadLock reading(lock, {"refused"});
  int asked = 0;
  const fastmlp::ShouldStop third_time = [&] { return ++asked == 3; };
  CHECK_THROWS_AS(lock.try_lock(std::chrono::seconds(60), third_time), fastmlp::Stopped);
  CHECK(asked == 3);
  const fastmlp::ShouldStop throws = []() -> bool { throw std::logic_error("thrown"); };
  CHECK_THROWS_WITH_AS(lock.try_lock(std::chrono::seconds(60), throws), "thrown", std::logic_error);
  CHECK(can_read(lock));
}

TEST_CASE("a writer in a should_stop does not wait long: its own thread may be the reader") {
  ReadersWriterLock lock;
  const ReadLock reading(lock, {"refused"});
  CHECK(!ask([&] { return lock.try_lock(std::chrono::seconds(60)); }));
  CHECK(!is_asking());
  CHECK(can_read(lock));
}

TEST_CASE("an owner reads and writes, other threads are told why they may not") {
  ReadersWriterLock lock;
  const Refusal refusal{"in use", "owned"};
  const auto of_another_thread = [&](const auto& use) {
    std::string told;
    std::thread([&] {
      try {
        use();
      } catch (const std::runtime_error& error) {
        told = error.what();
      }
    }).join();
    return told;
  };
  const auto read = [&] { const ReadLock reading(lock, refusal); };
  const auto write = [&] { const WriteLock writing(lock, refusal); };
  const auto own = [&] { const Ownership owned(lock, refusal); };
  {
    const Ownership owned(lock, refusal);
    {
      const Ownership nested(lock, refusal);
    }
    read();
    write();
    CHECK(of_another_thread(read) == "owned");
    CHECK(of_another_thread(write) == "owned");
    CHECK(of_another_thread(own) == "owned");
    const WriteLock writing(lock, refusal);  // as an epoch of a fit
    CHECK_THROWS_WITH_AS(read(), "in use", std::runtime_error);
    CHECK(of_another_thread(read) == "owned");
  }
  CHECK(of_another_thread(own).empty());
  CHECK(of_another_thread(write).empty());
  const WriteLock writing(lock, refusal);
  CHECK(of_another_thread(own) == "in use");
}

TEST_CASE("readers that came before an owner may stay, and its writers wait for them") {
  ReadersWriterLock lock;
  auto reading = std::make_unique<ReadLock>(lock, Refusal{"refused"});
  std::thread([&] {
    const Ownership owned(lock, {"refused"});
    CHECK(!lock.try_lock(std::chrono::milliseconds(1)));
    CHECK(can_read(lock));
    reading.reset();
    CHECK(can_write(lock));
  }).join();
  CHECK(can_write(lock));
}

TEST_CASE("readers and writers on many threads never meet") {
  ReadersWriterLock lock;
  std::atomic<int> readers{0}, writers{0}, met{0};
  const auto work = [&] {
    for (int i = 0; i < 20000; ++i) {
      if (i % 8 == 0) {
        if (!lock.try_lock(kNoPatience)) continue;
        met += writers++ != 0 || readers != 0;
        --writers;
        lock.unlock(fork_generation);
      } else if (lock.try_lock_shared()) {
        ++readers;
        met += writers != 0;
        --readers;
        lock.unlock_shared(fork_generation);
      }
    }
  };
  std::thread other(work);
  work();
  other.join();
  CHECK(met == 0);
  CHECK(can_write(lock));
}

#if defined(__unix__) || defined(__APPLE__)
TEST_CASE("two threads of a child that come first at once are both counted") {
  ReadersWriterLock lock;
  const ReadLock of_the_parent(lock, {"refused"});
  const int wrong = in_child([&] {
    const ReadersWriterLock::Word seen =
        lock.word();  // from before the fork, which both threads see
    bool first = false, second = false;
    std::thread([&] { first = lock.try_lock_shared(seen); }).join();
    std::thread([&] { second = lock.try_lock_shared(seen); }).join();
    lock.unlock_shared(fork_generation);
    const bool still_read = !can_write(lock);
    lock.unlock_shared(fork_generation);
    return first && second && still_read && can_write(lock) ? 0 : 1;
  });
  CHECK(wrong == 0);
}

TEST_CASE("in a child the locks of the parent do not count") {
  ReadersWriterLock read, written;
  const ReadLock reading(read, {"refused"});
  const WriteLock writing(written, {"refused"});
  CHECK(in_child([&] { return can_write(read) && can_read(written) ? 0 : 1; }) == 0);
  CHECK(!can_write(read));
  CHECK(!can_read(written));
}

TEST_CASE(
    "in a child nobody owns the lock, and the end of the parent's ownership changes nothing") {
  ReadersWriterLock lock;
  auto owned = std::make_unique<Ownership>(lock, Refusal{"refused"});
  const int wrong = in_child([&] {
    bool other = false;
    std::thread([&] { other = can_read(lock) && can_write(lock); }).join();
    const bool own = can_read(lock) && can_write(lock);
    const Ownership in_child(lock, {"refused"});
    owned.reset();
    bool still_refused = false;
    std::thread([&] { still_refused = !can_read(lock); }).join();
    return other && own && still_refused ? 0 : 1;
  });
  CHECK(wrong == 0);
  std::thread([&] { CHECK(!can_read(lock)); }).join();
}

TEST_CASE("a call that forked and continues in the child unlocks nothing there twice") {
  ReadersWriterLock lock;
  auto reading = std::make_unique<ReadLock>(lock, Refusal{"refused"});
  const int wrong = in_child([&] {
    const ReadLock in_child(lock, {"refused"});
    reading.reset();
    return can_read(lock) && !can_write(lock) ? 0 : 1;
  });
  CHECK(wrong == 0);
}
#endif
