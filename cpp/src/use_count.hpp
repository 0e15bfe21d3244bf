// UseCount: many readers or one writer; whoever comes at the wrong time is refused, never waits.
#pragma once

#include <atomic>
#include <stdexcept>

namespace fastmlp::detail {

class UseCount {
 public:
  bool try_share() {
    int users = users_.load(std::memory_order_relaxed);
    while (users >= 0) {
      if (users_.compare_exchange_weak(users, users + 1, std::memory_order_acquire)) return true;
    }
    return false;
  }
  void unshare() { users_.fetch_sub(1, std::memory_order_release); }

  bool try_own() {
    int nobody = 0;
    return users_.compare_exchange_strong(nobody, kOwned, std::memory_order_acquire);
  }
  void disown() { users_.store(0, std::memory_order_release); }

 private:
  static constexpr int kOwned = -1;
  std::atomic<int> users_{0};
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
  Owning(UseCount& count, const char* refusal) : count_(count) {
    if (!count_.try_own()) throw std::runtime_error(refusal);
  }
  ~Owning() { count_.disown(); }
  Owning(const Owning&) = delete;
  Owning& operator=(const Owning&) = delete;

 private:
  UseCount& count_;
};

}  // namespace fastmlp::detail
